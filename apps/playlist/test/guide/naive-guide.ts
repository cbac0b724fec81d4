import type { PlaylistChannel } from './wanted-fixture.ts';

interface Element {
  readonly text: string;
  readonly id: string;
  readonly names: readonly string[];
  readonly start: string;
  readonly stop: string;
  readonly title: string;
}

/** What a guide that has no oddities of XML is made of, found with plain regular expressions. */
function parse(guide: string): { channels: Element[]; programmes: Element[]; order: string[] } {
  const attribute = (tag: string, name: string): string => new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? '';
  const elements = (name: string, id: string): Element[] =>
    [...guide.matchAll(new RegExp(`\\s*(<${name}\\b[^>]*?(?:/>|>[\\s\\S]*?</${name}>))`, 'g'))].map(([text, bare]) => {
      const tag = /^<[^>]*>/.exec(bare!)![0];
      return {
        text,
        id: attribute(tag, id),
        names: [...bare!.matchAll(/<display-name>([^<]*)</g)].map((match) => match[1]!.trim().toLowerCase()),
        start: instant(attribute(tag, 'start')),
        stop: instant(attribute(tag, 'stop')),
        title: /<title[^>]*>([^<]*)</.exec(bare!)?.[1] ?? '',
      };
    });
  const order = [...guide.matchAll(/<(?:channel|programme)\b[^>]*?\s(?:id|channel)="([^"]*)"/g)].map(
    (match) => match[1]!,
  );
  return { channels: elements('channel', 'id'), programmes: elements('programme', 'channel'), order };
}

/** By way of JavaScript's own dates. */
function instant(text: string): string {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?: ([+-]\d\d)(\d\d))?$/.exec(text);
  if (match === null) return text;
  const [, year, month, day, hour, minute, second = '00', zone = '+00', zoneMinutes = '00'] = match;
  return String(Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}:${zoneMinutes}`));
}

/**
 * The guide that must come out, made from whole files, by the rules as they are told to people: exact ids before former ids before names, the first
 * guide that has programmes for a channel, each programme once. Names are compared in lower case only.
 */
export function naiveGuide(playlist: readonly PlaylistChannel[], guides: readonly string[]): string {
  const parsed = guides.map(parse);
  const has = (id: string): boolean =>
    parsed.some((guide) => [...guide.channels, ...guide.programmes].some((element) => element.id === id));
  /** Output id -> the guide's id it is made of, and the one guide it may come from. */
  const outputs = new Map<string, { from: string; guide?: number }>();
  for (const { id } of playlist) if (id && has(id)) outputs.set(id, { from: id });
  for (const from of parsed.flatMap((guide) => guide.order)) {
    for (const { id, original } of playlist) if (id && original === from && !outputs.has(id)) outputs.set(id, { from });
  }
  const taken = new Map<string, { id: string; guide: number }>();
  const adoptable = new Map<string, number>();
  parsed.forEach((guide, number) => {
    for (const { id, names } of guide.channels) {
      for (const name of names) {
        if (id === '' || taken.has(name) || !playlist.some((channel) => [channel.name, channel.tvgName].includes(name)))
          continue;
        if (!playlist.some((channel) => channel.id === id)) {
          if ((adoptable.get(id) ?? number) !== number) continue;
          adoptable.set(id, number);
        }
        taken.set(name, { id, guide: number });
      }
    }
  });
  for (const { id, name, tvgName } of playlist) {
    if (id && outputs.has(id)) continue;
    const match = taken.get(tvgName ?? '') ?? taken.get(name ?? '');
    if (match && !playlist.some((channel) => channel.id === match.id))
      outputs.set(match.id, { from: match.id, guide: match.guide });
  }
  return write(parsed, outputs, playlist);
}

function write(
  parsed: readonly { channels: Element[]; programmes: Element[] }[],
  outputs: ReadonlyMap<string, { from: string; guide?: number }>,
  playlist: readonly PlaylistChannel[],
): string {
  let text = '';
  // One element may go to its own id first, then to those that were made of it, the last one made first.
  const made = (from: string): string[] => {
    const pairs = playlist.filter((channel) => channel.id && channel.original === from);
    return [...new Set(pairs.map((channel) => channel.id!))].reverse();
  };
  const idsOf = (id: string, guide: number): string[] =>
    [...new Set([id, ...made(id)])].filter((output) => {
      const source = outputs.get(output);
      return source?.from === id && (source.guide ?? guide) === guide;
    });
  const written = new Set<string>();
  parsed.forEach((guide, number) => {
    for (const channel of guide.channels) {
      for (const output of idsOf(channel.id, number)) {
        if (written.has(output)) continue;
        written.add(output);
        text += channel.text.replace(` id="${channel.id}"`, ` id="${output}"`);
      }
    }
  });
  const owner = new Map<string, number>();
  parsed.forEach((guide, number) => {
    const seen = new Set<string>();
    for (const programme of guide.programmes) {
      for (const output of idsOf(programme.id, number)) {
        if ((owner.get(output) ?? number) !== number) continue;
        owner.set(output, number);
        const key = JSON.stringify([output, programme.start, programme.stop, programme.title]);
        if (seen.has(key)) continue;
        seen.add(key);
        text += programme.text.replace(` channel="${programme.id}"`, ` channel="${output}"`);
      }
    }
  });
  return text;
}
