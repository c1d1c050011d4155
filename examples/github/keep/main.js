const fs = require("node:fs");
const path = require("node:path");

const { ACTIONS_RESULTS_URL: base, ACTIONS_RUNTIME_TOKEN: token } = process.env;
const { INPUT_DO: what, INPUT_FILE: file, INPUT_NAME: name } = process.env;
const version = "1";

// The token says which run and job the services know this one as.
const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
const [, run, job] = claims.scp.split(" ").find((scope) => scope.startsWith("Actions.Results:")).split(":");
const ids = { workflow_run_backend_id: run, workflow_job_run_backend_id: job };

async function good(answer) {
  if (!answer.ok) throw new Error(`${answer.url.split("?")[0]}: ${answer.status} ${await answer.text()}`);
  return answer;
}

async function call(service, method, message) {
  const url = new URL(`/twirp/github.actions.results.api.v1.${service}/${method}`, base);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return (await good(await fetch(url, { method: "POST", headers, body: JSON.stringify(message) }))).json();
}

async function put(url, body) {
  await good(await fetch(url, { method: "PUT", headers: { "x-ms-blob-type": "BlockBlob" }, body }));
}

async function save() {
  const bytes = fs.readFileSync(file);
  const size = String(bytes.length);
  const cache = await call("CacheService", "CreateCacheEntry", { key: name, version });
  await put(cache.signed_upload_url, bytes);
  await call("CacheService", "FinalizeCacheEntryUpload", { key: name, version, size_bytes: size });
  const mime = { value: "text/plain" };
  const artifact = await call("ArtifactService", "CreateArtifact", { ...ids, name, version: 7, mime_type: mime });
  await put(artifact.signed_upload_url, bytes);
  await call("ArtifactService", "FinalizeArtifact", { ...ids, name, size });
  console.log(`kept ${size} bytes as ${name}`);
}

async function restore() {
  const found = await call("CacheService", "GetCacheEntryDownloadURL", { key: name, version });
  const cached = await (await good(await fetch(found.signed_download_url))).text();
  const { signed_url: url } = await call("ArtifactService", "GetSignedArtifactURL", { ...ids, name });
  const kept = await (await good(await fetch(url))).text();
  if (cached !== kept) throw new Error(`the cache has ${cached}, the artifact ${kept}`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, cached);
  console.log(`${found.matched_key} came back`);
}

(what === "save" ? save() : restore()).catch((error) => {
  console.log(`::error::${error.message}`);
  process.exit(1);
});
