import type { Command, Option } from 'commander';

export const COMPLETION_SHELLS = ['bash', 'zsh', 'fish'] as const;
export type CompletionShell = (typeof COMPLETION_SHELLS)[number];

/** What can be written behind a command: its name, its options with what they take, and whether files are meant. */
interface Words {
  readonly name: string;
  readonly about: string;
  readonly options: readonly { readonly flags: readonly string[]; readonly about: string; readonly takes: Takes }[];
  /** Of the first argument, where they are known. */
  readonly choices: readonly string[];
  readonly files: boolean;
  /** What stands behind `--` is another command line. */
  readonly passesOn: boolean;
}

/** The names of arguments that stand for files, or for a program, which may be one. */
const FILE_ARGUMENTS: ReadonlySet<string> = new Set(['command', 'file', 'a', 'b']);

type Takes = 'nothing' | 'file' | 'value' | readonly string[];

/** A script for a shell that completes the commands and options of a program, from its own tree of commands. Pure. */
export function completionScript(program: Command, shell: CompletionShell): string {
  const commands = program.commands.map(wordsOf);
  const name = program.name();
  if (shell === 'bash') return bashScript(name, commands);
  return shell === 'zsh' ? zshScript(name, commands) : fishScript(name, commands);
}

function wordsOf(command: Command): Words {
  const [first] = command.registeredArguments;
  return {
    name: command.name(),
    about: command.description(),
    options: command.options.map((option) => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined && flag !== null),
      about: option.description,
      takes: takesOf(option),
    })),
    choices: first?.argChoices ?? [],
    files: first !== undefined && FILE_ARGUMENTS.has(first.name()),
    passesOn: first?.variadic === true,
  };
}

function takesOf(option: Option): Takes {
  if (option.argChoices !== undefined) return option.argChoices;
  if (!option.required && !option.optional) return 'nothing';
  return /<(file|folder)>/.test(option.flags) ? 'file' : 'value';
}

const flagsOf = ({ options }: Words): string[] => options.flatMap(({ flags }) => flags);

/** Of the program itself, which are no commands of the tree. */
const OF_PROGRAM = ['help', '--help', '--version'];

function bashScript(name: string, commands: readonly Words[]): string {
  const names = commands.map((command) => command.name);
  const cases = commands.map((command) => {
    const words = [...flagsOf(command), '--help', ...command.choices].join(' ');
    return `    ${command.name}) words='${words}' files=${command.files ? 1 : 0} ;;`;
  });
  const passing = commands.filter(({ passesOn }) => passesOn).map((command) => command.name);
  return `# ${name} completion for bash: source <(${name} completion bash)
# A name a line: one with spaces is one word.
_${name}_add() {
  local line
  while IFS= read -r line; do COMPREPLY+=("$line"); done
}
_${name}_files() {
  compopt -o filenames 2>/dev/null
  _${name}_add < <(compgen -f -- "$1")
}
_${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words='' files=0 at
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    _${name}_add < <(compgen -W '${[...names, ...OF_PROGRAM].join(' ')}' -- "$word")
    return
  fi
${bashPassing(name, passing)}  case $before in
${bashValues(name, commands)}  esac
  case \${COMP_WORDS[1]} in
    help) [ "$COMP_CWORD" -eq 2 ] && words='${names.join(' ')}' ;;
${cases.join('\n')}
  esac
  _${name}_add < <(compgen -W "$words" -- "$word")
  case $word in
    -*) ;;
    *) [ "$files" -gt 0 ] && _${name}_files "$word" ;;
  esac
}
complete -F _${name} ${name}
`;
}

/** Behind `--` stands another command line: first what is to be started, then what that takes. */
function bashPassing(name: string, passing: readonly string[]): string {
  if (passing.length === 0) return '';
  return `  case \${COMP_WORDS[1]} in
    ${passing.join('|')})
      for ((at = 2; at < COMP_CWORD; at++)); do
        [ "\${COMP_WORDS[at]}" = -- ] || continue
        [ "$at" -eq $((COMP_CWORD - 1)) ] && _${name}_add < <(compgen -c -- "$word")
        _${name}_files "$word"
        return
      done ;;
  esac
`;
}

/** What an option takes, for each word that stands before. */
function bashValues(name: string, commands: readonly Words[]): string {
  const valued = commands.flatMap(({ options }) => options);
  const flags = (kind: Takes) => [...new Set(valued.filter(({ takes }) => takes === kind).flatMap((one) => one.flags))];
  const free = flags('value').join('|');
  const files = flags('file').join('|');
  const choices = valued.flatMap(({ flags: own, takes }) =>
    Array.isArray(takes)
      ? [`    ${own.join('|')}) _${name}_add < <(compgen -W '${takes.join(' ')}' -- "$word"); return ;;\n`]
      : [],
  );
  return [
    ...(free === '' ? [] : [`    ${free}) return ;;\n`]),
    ...(files === '' ? [] : [`    ${files}) _${name}_files "$word"; return ;;\n`]),
    ...choices,
  ].join('');
}

const zshText = (text: string): string =>
  text.replaceAll(/[\\[\]:']/g, (character) => (character === "'" ? "'\\''" : `\\${character}`));

function zshScript(name: string, commands: readonly Words[]): string {
  const list = commands.map(({ name: own, about }) => `    '${own}:${zshText(about)}'`);
  const cases = commands.map((command) => {
    const options = command.options.flatMap(({ flags, about, takes }) =>
      flags.map((flag) => `        '${flag}[${zshText(about)}]${zshTakes(takes)}'`),
    );
    const rest = command.choices.length > 0 ? [`        '1:what:(${command.choices.join(' ')})'`] : [];
    if (command.files) rest.push("        '*:file:_files'");
    return `      ${command.name})\n        _arguments \\\n${[...options, ...rest].join(' \\\n')} ;;`;
  });
  return `#compdef ${name}
# ${name} completion for zsh: ${name} completion zsh > "\${fpath[1]}/_${name}"
_${name}() {
  local -a commands
  commands=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
  else
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
${cases.join('\n')}
    esac
  fi
}
if [ "$funcstack[1]" = "_${name}" ]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function zshTakes(takes: Takes): string {
  if (takes === 'nothing') return '';
  if (takes === 'file') return ':file:_files';
  return takes === 'value' ? ':value: ' : `:value:(${takes.join(' ')})`;
}

const fishText = (text: string): string => `'${text.replaceAll(/[\\']/g, '\\$&')}'`;

function fishScript(name: string, commands: readonly Words[]): string {
  const lines = commands.flatMap((command) => {
    const on = `-n '__fish_seen_subcommand_from ${command.name}'`;
    return [
      `complete -c ${name} -n __fish_use_subcommand -f -a ${command.name} -d ${fishText(command.about)}`,
      ...command.options.map(({ flags, about, takes }) => {
        const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
        return `complete -c ${name} ${on} ${names.join(' ')} ${fishTakes(takes)}-d ${fishText(about)}`;
      }),
      ...(command.files ? [] : [`complete -c ${name} ${on} -f`]),
      ...(command.choices.length > 0 ? [`complete -c ${name} ${on} -f -a ${fishText(command.choices.join(' '))}`] : []),
    ];
  });
  return `# ${name} completion for fish: ${name} completion fish > ~/.config/fish/completions/${name}.fish\n${lines.join('\n')}\n`;
}

function fishTakes(takes: Takes): string {
  if (takes === 'nothing') return '';
  if (takes === 'file') return '-r -F ';
  return takes === 'value' ? '-x ' : `-x -a ${fishText(takes.join(' '))} `;
}
