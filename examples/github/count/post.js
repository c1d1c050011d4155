console.log(`the sum was ${process.env.STATE_sum}`);
