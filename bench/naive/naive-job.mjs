// The whole job as it is written first: the list, then its guide. node naive-job.mjs LIST GUIDE OUTPUT_DIR
const [node, script, list, guide, dir] = process.argv;
process.argv = [node, script, list, `${dir}/naive.m3u8`];
await import('./naive-playlist.mjs');
process.argv = [node, script, list, guide, `${dir}/naive.xmltv`];
await import('./naive-guide.mjs');
