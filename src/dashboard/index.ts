/**
 * A page that shows the memory of this process live: its server side. Takes a governor or a feed; serves one page, the looks as JSON and as a stream, and, to
 * whoever has the token, a collection, a reclaim and a heap snapshot.
 * @module
 */
export { Dashboard, type DashboardAddress, type DashboardStats } from './dashboard.ts';
export { DASHBOARD_DEFAULTS, type DashboardListenOptions, type DashboardOptions } from './dashboard-options.ts';
export { type GovernorCommandOptions, governorCommands } from './governor-commands.ts';
export type { RunRow, RunStageRow } from './run-row.ts';
export type { TrainRow } from './train-row.ts';
