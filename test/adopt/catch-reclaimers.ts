import type { ConsumerOptions, Governor, Reclaimer } from 'plimsoll';

/** A governor that is as the one given, and keeps the reclaimers of the consumers opened through it, by name. */
export function catchReclaimers(governor: Governor): { governor: Governor; reclaimers: Map<string, Reclaimer> } {
  const reclaimers = new Map<string, Reclaimer>();
  const caught = new Proxy(governor, {
    get(target, name) {
      if (name === 'consumer') {
        return (options: ConsumerOptions) => {
          if (options.reclaimer !== undefined) reclaimers.set(options.name, options.reclaimer);
          return target.consumer(options);
        };
      }
      const member = Reflect.get(target, name, target) as unknown;
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  return { governor: caught, reclaimers };
}
