/**
 * The command line `plimsoll`: what a machine gives a program of Node, where a run's memory went, what a process holds now, and what stands in the records that it left.
 * Reports are plain data; pages are made of them, and terminal, browser and JSON only show them.
 * @module
 */
export { type CommandLineOptions, runCommandLine } from './command-line.ts';
export { doctorPage } from './doctor-page.ts';
export { type DoctorOptions, type DoctorReport, examine, type Finding } from './doctor-report.ts';
export { endProcess } from './end-process.ts';
export type { HeapProfileSummary } from './heap-profile.ts';
export { NoFeedError } from './no-feed-error.ts';
export type { Bar, Block, Cell, Fact, Note, Page, Series, Tone } from './page.ts';
export { type MemoryRecord, readRecord, recognise } from './record.ts';
export {
  diffPage,
  diffRecords,
  type Figure,
  type FigureChange,
  type FigureUnit,
  figuresOf,
  type RecordDiff,
} from './record-diff.ts';
export { recordPage } from './record-page.ts';
export { type RenderOptions, renderPage } from './render.ts';
export { renderHtml } from './render-html.ts';
export { RunStartError } from './run-child.ts';
export type { RunEnd } from './run-command.ts';
export type { RunEnding } from './run-ending.ts';
export { runPage } from './run-page.ts';
export type { ProcessReport, RunConsumer, RunMeter, RunReport, Suspect } from './run-report.ts';
export type { Outlet, Screen } from './screen.ts';
export type { TerminationRecord } from './termination-record.ts';
export { UsageError } from './usage-error.ts';
