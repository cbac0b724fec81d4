// What an import costs beside a module with nothing in it; RSS is read from outside.
const started = performance.now();
await import(process.argv[2]);
console.log(JSON.stringify({ elapsedMs: performance.now() - started, rssBytes: process.memoryUsage.rss() }));
