// One call of GitHub's own clients, as an action makes it. Prints the result as JSON.
const [toolkit, call, ...rest] = process.argv.slice(2);
const { artifact, cache } = await import(toolkit);
const calls = {
  upload: (name, root, ...files) => artifact.uploadArtifact(name, files.map((file) => `${root}/${file}`), root),
  uploadRaw: (root, file) => artifact.uploadArtifact(file, [`${root}/${file}`], root, { skipArchive: true }),
  list: () => artifact.listArtifacts(),
  get: (name) => artifact.getArtifact(name),
  download: (id, path) => artifact.downloadArtifact(Number(id), { path }),
  remove: (name) => artifact.deleteArtifact(name),
  save: (key, ...paths) => cache.saveCache(paths, key),
  restore: (path, key, ...others) => cache.restoreCache([path], key, others),
};
let result;
try {
  result = { ok: (await calls[call](...rest)) ?? null };
} catch (error) {
  result = { error: String(error.message) };
}
console.log(`\nresult ${JSON.stringify(result)}`);
process.exit(0);
