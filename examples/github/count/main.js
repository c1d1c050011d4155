const fs = require("node:fs");
const sum = process.env.INPUT_NUMBERS.split(" ").reduce((sum, text) => sum + Number(text), 0);
fs.appendFileSync(process.env.GITHUB_OUTPUT, `${process.env.INPUT_NAME}=${sum}\n`);
fs.appendFileSync(process.env.GITHUB_STATE, `sum=${sum}\n`);
console.log(`the sum is ${sum}`);
