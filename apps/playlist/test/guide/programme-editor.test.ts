import { expect, test } from 'vitest';
import type { FieldAccess } from '../../src/rules/field-access.ts';
import { RULE_FIELDS, type RuleField } from '../../src/rules/field-access.ts';
import { generateGuide } from './generate-guide.ts';

const number = (field: RuleField): number => RULE_FIELDS.indexOf(field);
const TITLE = number('programme_title');
const DESCRIPTION = number('programme_description');
const CATEGORY = number('programme_category');
const NAME = number('channel_name');

const tv = (body: string): string => `<tv>\n<channel id="a"/>${body}</tv>`;

async function edited(programme: string, edit: (view: FieldAccess) => void): Promise<string> {
  const out = await generateGuide([{ id: 'a' }], [tv(programme)], {
    editor: {
      edit(view) {
        edit(view);
        return 'keep';
      },
    },
  });
  expect(out.body.startsWith('\n<channel id="a"/>')).toBe(true);
  return out.body.slice('\n<channel id="a"/>'.length);
}

const FULL = `
  <programme start="1" channel="a">
    <title lang="en">Tom &amp; <![CDATA[Jerry < "x"]]></title>
    <title lang="de">Zwei</title>
    <desc> A &#x41;&#66; story </desc>
    <date>2020</date>
    <category lang="en">Kids</category>
    <category>Fun</category>
    <icon src="x"/>
  </programme>`;

test('fields are decoded, and reading them changes no byte', async () => {
  const seen: string[] = [];
  const out = await edited(FULL, (view) => {
    seen.push(view.get(TITLE), view.get(DESCRIPTION), view.get(CATEGORY), view.lower(TITLE));
    view.set(TITLE, view.get(TITLE));
  });
  expect(out).toBe(FULL);
  expect(seen).toEqual(['Tom & Jerry < "x"', 'A AB story', 'Kids;Fun', 'tom & jerry < "x"']);
});

test.each<[string, (view: FieldAccess) => void, string, string]>([
  [
    'a title',
    (view) => view.set(TITLE, 'a < "b" & \u0001\ud800'),
    'Tom &amp; <![CDATA[Jerry < "x"]]>',
    'a &lt; &quot;b&quot; &amp;  \ufffd',
  ],
  ['a blank title', (view) => view.set(TITLE, ''), 'Tom &amp; <![CDATA[Jerry < "x"]]>', ''],
  ['a description', (view) => view.set(DESCRIPTION, 'é'), ' A &#x41;&#66; story ', 'é'],
  ['one category', (view) => view.set(CATEGORY, 'Kids;Games'), '<category>Fun', '<category>Games'],
  ['one category less', (view) => view.set(CATEGORY, 'Kids'), '\n    <category>Fun</category>', ''],
  [
    'one category more',
    (view) => view.set(CATEGORY, 'Kids;Fun;More'),
    '<category>Fun</category>',
    '<category>Fun</category>\n    <category>More</category>',
  ],
])('only what is set changes: %s', async (_, edit, from, to) => {
  expect(await edited(FULL, edit)).toBe(FULL.replace(from, to));
});

test('several fields at once', async () => {
  const out = await edited(FULL, (view) => {
    view.set(CATEGORY, 'X');
    view.set(TITLE, 'T');
    view.set(DESCRIPTION, 'D');
    expect(view.get(TITLE)).toBe('T');
    expect(view.lower(TITLE)).toBe('t');
  });
  expect(out).toBe(
    FULL.replace('Tom &amp; <![CDATA[Jerry < "x"]]>', 'T')
      .replace(' A &#x41;&#66; story ', 'D')
      .replace('Kids', 'X')
      .replace('\n    <category>Fun</category>', ''),
  );
});

test('what is missing is put in its place', async () => {
  const all = (view: FieldAccess): void => {
    view.set(CATEGORY, 'C;D');
    view.set(DESCRIPTION, 'X');
    view.set(TITLE, 'T');
  };
  expect(await edited('<programme channel="a"/>', all)).toBe(
    '<programme channel="a"><title>T</title><desc>X</desc><category>C</category><category>D</category></programme>',
  );
  expect(await edited('<programme channel="a">\n  <title/>\n  <icon src="i"/>\n</programme>', all)).toBe(
    '<programme channel="a">\n  <title>T</title>\n  <desc>X</desc>\n  <category>C</category>\n  <category>D</category>\n  <icon src="i"/>\n</programme>',
  );
  expect(await edited('<programme channel="a"><title lang="x" /><date>1</date></programme>', all)).toBe(
    '<programme channel="a"><title lang="x" >T</title><desc>X</desc><date>1</date><category>C</category><category>D</category></programme>',
  );
});

test('comments and CDATA around the children stay', async () => {
  const programme =
    '<programme channel="a"><!-- <title>no</title> --><title>x</title><?p <title> ?><desc><![CDATA[<title>]]></desc></programme>';
  expect(await edited(programme, (view) => view.set(TITLE, 'y'))).toBe(programme.replace('>x<', '>y<'));
});

test('programmes are dropped and counted; a rewritten id and an edit go together', async () => {
  const body = [1, 2, 3]
    .map((day) => `<programme start="2021010${day}000000" channel="old"><title>${day}</title></programme>`)
    .join('');
  const out = await generateGuide([{ id: 'n&w', original: 'old' }], [`<tv><channel id="old"/>${body}</tv>`], {
    editor: {
      edit(view) {
        if (view.get(TITLE) === '2') return 'drop';
        if (view.get(TITLE) === '3') view.set(TITLE, 'three');
        return 'keep';
      },
    },
  });
  expect(out.body).toBe(
    '<channel id="n&amp;w"/><programme start="20210101000000" channel="n&amp;w"><title>1</title></programme>' +
      '<programme start="20210103000000" channel="n&amp;w"><title>three</title></programme>',
  );
  expect(out.guides[0]).toMatchObject({ programmesKept: 2, dropped: 1, edited: 1, programmesIn: 3 });
});

test("the channel's fields come from the playlist, once for a run of programmes, and cannot be set", async () => {
  const asked: number[] = [];
  const fields = (slot: number): FieldAccess => {
    asked.push(slot);
    return { get: () => `Name ${slot}`, lower: () => `name ${slot}`, set: () => expect.unreachable() };
  };
  const body = ['a', 'a', 'b'].map(
    (id, day) => `<programme start="2021010${day + 1}000000" channel="${id}"><title>t</title></programme>`,
  );
  const out = await generateGuide(
    [{ id: 'a' }, { id: 'b' }],
    [`<tv><channel id="a"/><channel id="b"/>${body.join('')}</tv>`],
    {
      channelFields: fields,
      editor: {
        edit(view) {
          view.set(NAME, 'other');
          view.set(TITLE, `${view.get(NAME)}/${view.lower(NAME)}`);
          return 'keep';
        },
      },
    },
  );
  expect(asked).toEqual([0, 1]);
  expect(out.body).toContain('<title>Name 0/name 0</title>');
  expect(out.body).toContain('<title>Name 1/name 1</title>');
});

test('an edit does not make two programmes one', async () => {
  const body = [1, 2]
    .map((title) => `<programme start="20210101000000" channel="a"><title>${title}</title></programme>`)
    .join('');
  const out = await edited(body, (view) => view.set(TITLE, 'same'));
  expect(out.split('<title>same</title>').length).toBe(3);
});
