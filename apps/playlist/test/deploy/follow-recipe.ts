/**
 * Follows a Dockerfile without a container engine: each stage in a folder of its own that stands for its root. It knows the instructions that ours uses, and refuses
 * others. What it cannot show: the base image, and what the engine itself does.
 */
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Copy, DockerfileParser, type Instruction } from 'dockerfile-ast';
import { runProgram } from '../../../../test/gates/run-program.ts';

export interface Image {
  /** The folder that stands for `/`. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  /** Entry point and arguments, with paths as they are in the image. */
  readonly command: readonly string[];
  readonly healthCheck: readonly string[];
  readonly user: string;
}

export interface FollowOptions {
  /** The build's context. */
  readonly project: string;
  /** An empty folder for the stages. */
  readonly dir: string;
  /** Environment of the steps, over this process's. */
  readonly env: Readonly<Record<string, string>>;
  readonly say: (line: string) => void;
}

/** Not in the context; `.dockerignore` says so. */
const LEFT_OUT = new Set(['node_modules', 'dist', '.generated', 'out', 'test']);

class Stage {
  readonly root: string;
  readonly env: Record<string, string> = {};
  workDir = '/';
  user = 'root';
  entry: readonly string[] = [];
  args: readonly string[] = [];
  healthCheck: readonly string[] = [];

  constructor(root: string) {
    this.root = root;
    mkdirSync(root, { recursive: true });
  }

  /** Where a path of the image is on this machine. */
  at(path: string): string {
    return join(this.root, path.startsWith('/') ? path : join(this.workDir, path));
  }
}

export async function followRecipe(recipe: string, options: FollowOptions): Promise<Image> {
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  for (const step of DockerfileParser.parse(recipe).getInstructions()) {
    const text = step.getArgumentsContent() ?? '';
    if (step.getKeyword() === 'ARG') continue;
    if (step.getKeyword() === 'FROM') {
      const name = / AS (\S+)$/i.exec(text)?.[1] ?? `stage ${stages.size + 1}`;
      stage = new Stage(join(options.dir, name));
      stages.set(name, stage);
    } else if (stage !== undefined) {
      options.say(`${step.getKeyword()} ${text.split('\n', 1)[0]}`);
      await follow(step, text, stage, stages, options);
    }
  }
  if (stage === undefined) throw new Error('there is no stage');
  const { root, env, entry, args, healthCheck, user } = stage;
  return { root, env, command: [...entry, ...args], healthCheck, user };
}

async function follow(
  step: Instruction,
  text: string,
  stage: Stage,
  stages: ReadonlyMap<string, Stage>,
  options: FollowOptions,
): Promise<void> {
  switch (step.getKeyword()) {
    case 'WORKDIR':
      stage.workDir = text;
      mkdirSync(stage.at(''), { recursive: true });
      return;
    case 'COPY':
      copy(step as Copy, stage, stages, options.project);
      return;
    case 'RUN':
      await run(text, stage, options.env);
      return;
    case 'ENV':
      for (const [, name, value] of text.matchAll(/(\w+)=(\S+)/g)) stage.env[name!] = value!;
      return;
    case 'USER':
      stage.user = text;
      return;
    case 'ENTRYPOINT':
      stage.entry = JSON.parse(text);
      return;
    case 'CMD':
      stage.args = JSON.parse(text);
      return;
    case 'HEALTHCHECK':
      stage.healthCheck = JSON.parse(text.slice(text.indexOf('[')));
      return;
    case 'VOLUME':
    case 'EXPOSE':
      return;
    default:
      throw new Error(`nobody knows how to follow ${step.getKeyword()}`);
  }
}

/** A folder's content goes into the target, a file into the folder or under the name that the target is; links stay links. */
function copy(step: Copy, stage: Stage, stages: ReadonlyMap<string, Stage>, project: string): void {
  const from = step
    .getFlags()
    .find((flag) => flag.getName() === 'from')
    ?.getValue();
  const paths = step.getArguments().map((argument) => argument.getValue());
  const target = paths.pop()!;
  for (const path of paths) {
    const source = from == null ? join(project, path) : stages.get(from)!.at(path);
    const to = target.endsWith('/') ? join(stage.at(target), basename(path)) : stage.at(target);
    const filter = (one: string) => from != null || one === source || !LEFT_OUT.has(basename(one));
    cpSync(source, target === './' ? stage.at(basename(path)) : to, {
      recursive: true,
      verbatimSymlinks: true,
      filter,
    });
  }
}

/** As it stands, but for folders outside of the working folder: they are made in the stage, for whoever runs this. */
async function run(text: string, stage: Stage, env: Readonly<Record<string, string>>): Promise<void> {
  const made = /^install -d (?:-[og] \S+ )*(\/\S+)$/.exec(text)?.[1];
  if (made !== undefined) mkdirSync(stage.at(made), { recursive: true });
  else await runProgram('sh', ['-ec', text], stage.at(''), { ...env, ...stage.env });
}

export function readRecipe(project: string): string {
  return readFileSync(join(project, 'Dockerfile'), 'utf8');
}
