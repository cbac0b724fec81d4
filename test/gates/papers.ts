import { rmSync } from 'node:fs';
import { PAPERS, paperFolder, programsOf, readPaper, runPaperProgram } from '../paper-programs.ts';
import { demand, type Gate } from './gate.ts';

/** Every program of README.md and of docs/, as it stands there. */
export const papersGate: Gate = {
  name: 'papers',
  promise: 'each program in README.md and docs/ runs as it stands, and prints and ends as is said there',
  patient: true,
  async run(say) {
    const dir = paperFolder();
    const wrong: string[] = [];
    let count = 0;
    try {
      for (const paper of PAPERS) {
        for (const program of programsOf(readPaper(paper))) {
          const { exitCode, output, errors } = runPaperProgram(dir, program);
          count++;
          if (exitCode === program.exitCode && (program.output === undefined || output === program.output)) continue;
          wrong.push(`${paper}, ${program.heading}`);
          say(`${paper}, ${program.heading}: exit ${exitCode}, printed ${JSON.stringify(output)}, ${errors.trim()}`);
        }
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
    demand(wrong.length === 0, `${wrong.length} of ${count} programs do not do what is said; the first: ${wrong[0]}`);
    demand(count > PAPERS.length, `only ${count} programs were found`);
    return `${count} programs of ${PAPERS.length} papers`;
  },
};
