import type { Governor } from 'plimsoll';

/**
 * A governor that can be broken on purpose: from `breakIt` on every call and every look at it throws, and so do those at its consumers and what they
 * hand out.
 */
export function breakable(governor: Governor): { readonly governor: Governor; breakIt(): void } {
  let broken = false;
  const wrapped = new WeakMap<object, object>();
  const fail = () => {
    if (broken) throw new Error('broken on purpose');
  };
  const wrap = <T>(value: T): T => {
    if (value === null || typeof value !== 'object' || value instanceof Promise) return value;
    const known = wrapped.get(value);
    if (known !== undefined) return known as T;
    const proxy = new Proxy(value, {
      get(target, name) {
        fail();
        const member = Reflect.get(target, name, target);
        if (typeof member !== 'function') return isPart(name) ? wrap(member) : member;
        return (...args: unknown[]) => {
          fail();
          return wrap(member.apply(target, args));
        };
      },
    });
    wrapped.set(value, proxy);
    return proxy as T;
  };
  return {
    governor: wrap(governor),
    breakIt() {
      broken = true;
    },
  };
}

function isPart(name: string | symbol): boolean {
  return name === 'consumer';
}
