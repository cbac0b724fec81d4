/** `on`: limits hold. `observe`: everything is granted, what would have been refused is counted and published. `off`: it is only counted. */
export const GOVERNOR_MODES = ['on', 'observe', 'off'] as const;
export type GovernorMode = (typeof GOVERNOR_MODES)[number];
