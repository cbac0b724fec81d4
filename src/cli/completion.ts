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
}

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
  };
}

function takesOf(option: Option): Takes {
  if (option.argChoices !== undefined) return option.argChoices;
  if (!option.required && !option.optional) return 'nothing';
  return /<(file|folder)>/.test(option.flags) ? 'file' : 'value';
}

const flagsOf = ({ options }: Words): string[] => options.flatMap(({ flags }) => flags);

function bashScript(name: string, commands: readonly Words[]): string {
  const valued = commands.flatMap(({ options }) => options.filter(({ takes }) => takes === 'value'));
  const free = [...new Set(valued.flatMap(({ flags }) => flags))].join('|');
  const chosen = commands.flatMap(({ options }) => options.filter(({ takes }) => Array.isArray(takes)));
  const choices = chosen.map(
    ({ flags, takes }) =>
      `    ${flags.join('|')}) COMPREPLY=($(compgen -W '${(takes as readonly string[]).join(' ')}' -- "$word")); return ;;`,
  );
  const cases = commands.map((command) => {
    const words = [...flagsOf(command), '--help', ...command.choices].join(' ');
    return `    ${command.name}) words='${words}' ;;`;
  });
  return `# ${name} completion for bash: source <(${name} completion bash)
_${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${[...commands.map((command) => command.name), 'help', '--help', '--version'].join(' ')}' -- "$word"))
    return
  fi
  case $before in
${free === '' ? '' : `    ${free}) return ;;\n`}${choices.join('\n')}
    --) COMPREPLY=($(compgen -c -- "$word")); return ;;
  esac
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _${name} ${name}
`;
}

const zshText = (text: string): string =>
  text.replaceAll(/[\\[\]:']/g, (character) => (character === "'" ? "'\\''" : `\\${character}`));

function zshScript(name: string, commands: readonly Words[]): string {
  const list = commands.map(({ name: own, about }) => `    '${own}:${zshText(about)}'`);
  const cases = commands.map((command) => {
    const options = command.options.flatMap(({ flags, about, takes }) =>
      flags.map((flag) => `        '${flag}[${zshText(about)}]${zshTakes(takes)}'`),
    );
    const rest = command.choices.length > 0 ? `'1:what:(${command.choices.join(' ')})'` : "'*:file:_files'";
    return `      ${command.name})\n        _arguments \\\n${[...options, `        ${rest}`].join(' \\\n')} ;;`;
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
