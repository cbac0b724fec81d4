// A small program with code of others in it, for a bundler to put into one file.
import { LRUCache } from 'lru-cache';
import ms from 'ms';
import semver from 'semver';
import { area } from './shapes.js';

const cache = new LRUCache({ max: 10 });
cache.set('square', area({ side: 3 }));
console.log(cache.get('square'), ms('2 days'), semver.satisfies('24.1.0', '>=20'));

export const later = () => import('./later.js');
