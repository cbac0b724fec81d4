/**
 * The command line `plimsoll`: what a machine gives a program of Node, where a run's memory went, what a process holds now, and what stands in the records that it left.
 * Reports are plain data; pages are made of them, and terminal, browser and JSON only show them.
 * @module
 */
export { type CommandLineOptions, runCommandLine } from './command-line.ts';
export { doctorPage } from './doctor-page.ts';
export { type DoctorOptions, type DoctorReport, examine, type Finding } from './doctor-report.ts';
export { endProcess } from './end-process.ts';
export { type RenderOptions, renderPage } from './render.ts';
export { renderHtml } from './render-html.ts';
export type { RunEnd } from './run-command.ts';
export type { RunEnding } from './run-ending.ts';
export { runPage } from './run-page.ts';
export type { ProcessReport, RunConsumer, RunMeter, RunReport, Suspect } from './run-report.ts';
