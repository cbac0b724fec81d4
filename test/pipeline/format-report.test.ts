import fc from 'fast-check';
import { formatReport, type PipelineReport, type StageReport } from 'plimsoll/pipeline';
import { expect, it } from 'vitest';

function stage(name: string, more: Partial<StageReport>): StageReport {
  return {
    name,
    elapsedMs: 0,
    itemsIn: 0,
    itemsOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    peakRssBytes: 0,
    peakLedgerBytes: 0,
    rssDeltaBytes: 0,
    peakReservedBytes: 0,
    unreleasedBytes: 0,
    ...more,
  };
}

function report(stages: StageReport[]): PipelineReport {
  return {
    elapsedMs: stages.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0),
    peakRssBytes: Math.max(0, ...stages.map(({ peakRssBytes }) => peakRssBytes)),
    peakLedgerBytes: 0,
    rssDeltaBytes: stages.reduce((sum, { rssDeltaBytes }) => sum + rssDeltaBytes, 0),
    stages,
    modeSwitches: [],
    modeSwitchCount: 0,
    workerSwitches: [],
    workerSwitchCount: 0,
  };
}

const WORDS = { title: 'Generation', count: 39161, noun: 'channels', unit: 'ch' };

it('has a headline and a tree with a line for each stage', () => {
  const stages = [
    stage('Source Loading', { elapsedMs: 1097, peakRssBytes: 140e6, rssDeltaBytes: 45.2e6, itemsOut: 39961 }),
    stage('Filtering', {
      elapsedMs: 6400,
      peakRssBytes: 219.7e6,
      rssDeltaBytes: -3.14e6,
      itemsIn: 39961,
      itemsOut: 39161,
    }),
    stage('Publish', { elapsedMs: 96, peakRssBytes: 120e6, unreleasedBytes: 7 }),
  ];
  const notes = ['1 sources', '2 filters'];
  expect(formatReport(report(stages), { ...WORDS, notes })).toBe(
    [
      'Generation completed in 7593ms: 39161 channels (1 sources, 2 filters) | 5157.5 ch/s | Peak: 219.7MB | 178.2 ch/MB',
      '├─ Source Loading: 1097ms 14.4% peak 140MB  Δ+45.2MB  0 in, 39961 out',
      '├─ Filtering: 6400ms 84.3% peak 220MB  Δ-3.1MB  39961 in, 39161 out',
      '└─ Publish: 96ms 1.3% peak 120MB  Δ+0.0MB  7 bytes not released',
    ].join('\n'),
  );
});

it('has a line for changes of mode and one for those of the worker, the last four named, and none where there were none', () => {
  const calm = report([stage('Sorting', { elapsedMs: 7 })]);
  const lines = formatReport(calm, WORDS);
  const change = {
    atMs: 1,
    stage: 'Sorting',
    from: 'plain',
    to: 'spill',
    level: 'emergency',
    why: 'pressure',
  } as const;
  const back = { ...change, from: 'spill', to: 'plain', level: 'optimal' } as const;
  const estimated = { ...change, to: 'streaming', level: 'optimal', why: 'estimate' } as const;
  const worker = { ...change, from: 'tidy', to: 'native', why: 'failed 3 times' } as const;
  const once = { ...calm, modeSwitches: [estimated], modeSwitchCount: 1 };
  expect(formatReport(once, WORDS)).toBe(`${lines}\nModes: 1 switch: Sorting plain → streaming by estimate`);
  const often = {
    ...calm,
    modeSwitches: [change, back, change, back, change, back],
    modeSwitchCount: 90,
    workerSwitches: [worker, worker],
    workerSwitchCount: 2,
  };
  const [spill, plain] = ['Sorting plain → spill at emergency', 'Sorting spill → plain at optimal'];
  const tidy = 'Sorting tidy → native (failed 3 times)';
  expect(formatReport(often, WORDS)).toBe(
    `${lines}\nModes: 90 switches: 86 before, ${spill}, ${plain}, ${spill}, ${plain}\nWorkers: 2 switches: ${tidy}, ${tidy}`,
  );
});

it('leaves out rates that nothing can be divided by', () => {
  expect(formatReport(report([]), { ...WORDS, count: 0 })).toBe('Generation completed in 0ms: 0 channels');
});

it('has percentages that add up to 100.0', () => {
  const property = fc.property(fc.array(fc.nat(100_000), { minLength: 1, maxLength: 30 }), (times) => {
    const text = formatReport(report(times.map((elapsedMs) => stage('Stage', { elapsedMs }))), WORDS);
    const tenths = [...text.matchAll(/ms (\d+)\.(\d)%/g)].map(([, whole, tenth]) => Number(whole) * 10 + Number(tenth));
    expect(tenths).toHaveLength(times.length);
    expect(tenths.reduce((sum, each) => sum + each, 0)).toBe(1000);
  });
  fc.assert(property);
});
