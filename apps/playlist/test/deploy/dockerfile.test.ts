import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Copy, type Dockerfile, DockerfileParser, type Instruction } from 'dockerfile-ast';
import { validate } from 'dockerfile-utils';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../../..');
const TEXT = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');

interface PackageJson {
  readonly engines: { readonly node: string };
  readonly scripts?: Readonly<Record<string, string>>;
  readonly workspaces?: readonly string[];
}

function packageJson(path: string): PackageJson {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

/** What is wrong with a recipe, a line each: its syntax, and what it says of this project that is not so. */
function faults(text: string): string[] {
  const recipe = DockerfileParser.parse(text);
  return [
    ...validate(text).map(({ message, range }) => `line ${range.start.line + 1}: ${message}`),
    ...stageFaults(recipe),
    ...copyFaults(recipe),
    ...runFaults(recipe),
  ];
}

function stageFaults(recipe: Dockerfile): string[] {
  const found: string[] = [];
  if (recipe.getFROMs().length < 2) found.push('one stage only: what builds would be in the image');
  const final = finalStage(recipe);
  const user = final.findLast((one) => one.getKeyword() === 'USER')?.getArgumentsContent() ?? 'root';
  if (/^(root|0)(:|$)/.test(user)) found.push(`the program runs as ${user}`);
  if (!final.some((one) => one.getKeyword() === 'HEALTHCHECK')) found.push('no health check');
  return found;
}

function finalStage(recipe: Dockerfile): Instruction[] {
  const from = recipe.getFROMs().at(-1)!.getRange().start.line;
  return recipe.getInstructions().filter((one) => one.getRange().start.line >= from);
}

/** Sources that are not there, or that `.dockerignore` keeps away; stages that there are none of. */
function copyFaults(recipe: Dockerfile): string[] {
  const found: string[] = [];
  const allowed = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'));
  const names = recipe.getFROMs().map((from) => from.getBuildStage());
  for (const copy of recipe.getCOPYs()) {
    const from = stageOf(copy);
    const sources = copy
      .getArguments()
      .slice(0, -1)
      .map((argument) => argument.getValue());
    if (from !== undefined) {
      if (!names.includes(from)) found.push(`COPY from ${from}: no such stage`);
      continue;
    }
    for (const source of sources) {
      if (!existsSync(join(ROOT, source))) found.push(`COPY ${source}: not there`);
      const isAllowed = allowed.some((line) => source === line.slice(1) || source.startsWith(`${line.slice(1)}/`));
      if (!isAllowed) found.push(`COPY ${source}: .dockerignore keeps it away`);
    }
  }
  return found;
}

function stageOf(copy: Copy): string | undefined {
  return (
    copy
      .getFlags()
      .find((flag) => flag.getName() === 'from')
      ?.getValue() ?? undefined
  );
}

/** Scripts and workspaces that npm is asked for and that are not there. */
function runFaults(recipe: Dockerfile): string[] {
  const { scripts = {} } = packageJson('package.json');
  return recipe
    .getInstructions()
    .filter((one) => one.getKeyword() === 'RUN')
    .flatMap((run) => {
      const command = run.getArgumentsContent() ?? '';
      const script = /\bnpm run (?:--\S+ )*(\S+)/.exec(command)?.[1];
      const workspace = /--workspace[= ](\S+)/.exec(command)?.[1];
      return [
        ...(script !== undefined && scripts[script] === undefined ? [`npm run ${script}: no such script`] : []),
        ...(workspace !== undefined && !existsSync(join(ROOT, workspace, 'package.json'))
          ? [`no workspace ${workspace}`]
          : []),
      ];
    });
}

describe('the image', () => {
  it('has a recipe that parses, with stages, sources and scripts that are there', () => {
    expect(faults(TEXT)).toEqual([]);
  });

  it.each([
    ['an instruction that is none', TEXT.replace('USER node', 'USR node'), /Unknown instruction: USR/],
    ['a program that runs as root', TEXT.replace('USER node', 'USER 0:0'), /runs as 0:0/],
    ['a source that is not there', TEXT.replace('COPY src src', 'COPY sources src'), /COPY sources: not there/],
    [
      'a source that is kept away',
      TEXT.replace('COPY src src', 'COPY docs docs'),
      /docs: \.dockerignore keeps it away/,
    ],
    ['a stage that is not there', TEXT.replace('--from=modules', '--from=module'), /COPY from module: no such stage/],
    ['a script that is not there', TEXT.replace('npm run build', 'npm run bild'), /npm run bild: no such script/],
    [
      'a workspace that is not there',
      TEXT.replace('--workspace apps/playlist', '--workspace apps/player'),
      /no workspace/,
    ],
    ['no health check', TEXT.replace(/^HEALTHCHECK.*$/m, ''), /no health check/],
  ])('fails this test with %s', (_, text, message) => {
    expect(faults(text)).toEqual(expect.arrayContaining([expect.stringMatching(message)]));
  });

  it('has the Node that the program needs, and no flags for it, because the program derives them from the limit', () => {
    const image = /^ARG NODE_IMAGE=node:(\d+)\D/m.exec(TEXT);
    expect(`>=${image?.[1]}`).toBe(packageJson('apps/playlist/package.json').engines.node);
    expect(TEXT).not.toMatch(/max-old-space|NODE_OPTIONS|semi-space/);
    expect(/^ENTRYPOINT (.*)$/m.exec(TEXT)?.[1]).toBe('["node", "/app/apps/playlist/dist/main.js"]');
  });

  it('copies what is built and installed to where the program looks for it', () => {
    const lines = finalStage(DockerfileParser.parse(TEXT)).map((one) => one.getTextContent());
    for (const line of [
      'COPY --from=modules /app/node_modules node_modules',
      'COPY --from=build /app/dist dist',
      'COPY --from=build /app/plugins/dist plugins/dist',
      'COPY --from=build /app/apps/playlist/dist apps/playlist/dist',
    ])
      expect(lines).toContain(line);
  });
});
