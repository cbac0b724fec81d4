// Takes an object, changes it, and gives it back: in one of several ways.
import { ObjectPool } from 'plimsoll/pool';
import { measureWay } from './pool-ways.mjs';

const [way, count] = [process.argv[2], Number(process.argv[3])];

class Nothing {
  [Symbol.dispose]() {}
}

const make = () => ({ used: 0, rows: [] });
const pool = (options) => new ObjectPool({ name: 'bench', maxSize: 16, create: make, ...options });

function array() {
  const rest = [make()];
  return (n) => {
    for (let i = 0; i < n; i++) {
      const value = rest.pop() ?? make();
      value.used++;
      rest.push(value);
    }
  };
}

function released(options) {
  const objects = pool(options);
  return (n) => {
    for (let i = 0; i < n; i++) {
      const lease = objects.lease();
      lease.value.used++;
      lease.release();
    }
  };
}

function inFinally() {
  const objects = pool();
  return (n) => {
    for (let i = 0; i < n; i++) {
      const lease = objects.lease();
      try {
        lease.value.used++;
      } finally {
        lease[Symbol.dispose]();
      }
    }
  };
}

function using() {
  const objects = pool();
  return (n) => {
    for (let i = 0; i < n; i++) {
      using lease = objects.lease();
      lease.value.used++;
    }
  };
}

function usingNothing() {
  let used = 0;
  return (n) => {
    for (let i = 0; i < n; i++) {
      using _nothing = new Nothing();
      used++;
    }
    return used;
  };
}

const hooks = {
  reset: (value) => void (value.used = 0),
  validate: (value) => value.rows.length === 0,
};

const WAYS = {
  'array: pop and push': array,
  'pool: lease and release': () => released(),
  'pool: with reset and validate': () => released(hooks),
  'pool: try and finally': inFinally,
  'pool: `using`': using,
  '`using` of nothing': usingNothing,
};

measureWay(WAYS[way](), count);
