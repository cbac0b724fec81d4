import { formatBytes } from '../bytes.ts';
import type { Capability } from '../governor/index.ts';
import type { DoctorReport, Finding } from './doctor-report.ts';
import { type Block, counted, type Fact, formatShare, type Note, type Page, toneOfRatio } from './page.ts';

const LONGEST_PATH = 56;

/** Pure. */
export function doctorPage(report: DoctorReport): Page {
  const { findings, capabilities } = report;
  const wrong = findings.filter(({ severity }) => severity === 'wrong').length;
  const verdict = wrong === 0 ? 'Nothing is wrong' : wrong === 1 ? 'One thing is wrong' : `${wrong} things are wrong`;
  return {
    title: `plimsoll doctor: ${verdict}`,
    about: `${capabilities.platform}, node ${capabilities.node}`,
    blocks: [
      {
        kind: 'notes',
        title: 'What to do',
        rows: findings.map(told),
      },
      { kind: 'facts', title: 'What a program of Node gets here', rows: limitFacts(report) },
      foundBlock(report),
      { kind: 'facts', title: 'How it is measured and given back', rows: meansFacts(report) },
    ],
  };
}

function told({ severity, what, mend }: Finding): Note {
  return { text: `${severity}: ${what}.`, tone: severity === 'wrong' ? 'bad' : 'warn', command: mend };
}

function limitFacts({
  limit,
  machine,
  chargedBytes,
  heap,
  heapFlags,
  capabilities,
  psi,
  inContainer,
}: DoctorReport): Fact[] {
  const fit = capabilities.heapFlags.fits;
  const semi = `${formatBytes(heap.semiSpaceBytes)} each${heap.semiSpaceFrom === 'default' ? ' at most, by default' : ''}`;
  const facts: Fact[] = [
    {
      label: 'the line',
      value: `${formatBytes(limit.bytes)} (${limit.from}${limit.share < 1 ? `, share ${limit.share}` : ''})`,
      tone: 'strong',
    },
    {
      label: 'V8 heap',
      value: `up to ${formatBytes(heap.heapLimitBytes)}, ${formatBytes(heap.oldSpaceBytes)} of it for what stays; semi-spaces ${semi}`,
      tone: fit ? 'good' : 'bad',
    },
  ];
  if (heapFlags !== undefined) facts.push({ label: 'flags that fit', value: heapFlags.join(' ') });
  if (chargedBytes !== undefined) {
    const ratio = chargedBytes / (limit.cgroup?.bytes ?? limit.bytes);
    facts.push({
      label: 'charged now',
      value: `${formatBytes(chargedBytes)} (${formatShare(ratio)})`,
      tone: toneOfRatio(ratio),
    });
  }
  const available =
    machine.availableBytes === undefined ? '' : `, ${formatBytes(machine.availableBytes)} to be had now`;
  const swap =
    machine.swapBytes === undefined || machine.swapBytes === 0
      ? ', no swap'
      : `, swap ${formatBytes(machine.swapBytes)}`;
  facts.push({ label: 'RAM', value: `${formatBytes(machine.totalBytes)}${available}${swap}` });
  const { group } = capabilities;
  if (group !== undefined) {
    facts.push({
      label: 'processes',
      value: `${group.count} in the control group, ${counted(group.heavyOthers, 'other')} of size`,
    });
  }
  facts.push({ label: 'container', value: inContainer ? 'yes, by its marks' : 'no mark of one' });
  if (psi !== undefined) {
    const of = psi.ofGroup ? 'of this group' : 'of the machine';
    facts.push({ label: 'waited for memory', value: `${psi.someAvg10}% of the last ten seconds, ${of}` });
  }
  return facts;
}

function foundBlock({ limit }: DoctorReport): Block {
  return {
    kind: 'table',
    title: 'Limits that were found',
    head: ['where it stands', '<from', 'bytes'],
    rows: limit.all.map(({ bytes, from, path }) => [tailOf(path ?? '-'), from, formatBytes(bytes)]),
  };
}

/** The end of a path says more than its beginning. */
const tailOf = (path: string): string => (path.length <= LONGEST_PATH ? path : `…${path.slice(1 - LONGEST_PATH)}`);

function meansFacts({ capabilities, kernel, temporary }: DoctorReport): Fact[] {
  const { allocator, cgroup, psi, trim, collect } = capabilities;
  const version = allocator.version === undefined ? '' : ` ${allocator.version}`;
  const mapping = [
    kernel.overcommit === undefined ? '' : `overcommit ${kernel.overcommit}`,
    kernel.maxMapCount === undefined ? '' : `${kernel.maxMapCount} mappings at most`,
    kernel.hugePages === undefined ? '' : `huge pages ${kernel.hugePages}`,
  ].filter((each) => each !== '');
  return [
    cgroup.available
      ? { label: 'control group', value: `version ${cgroup.version}, ${cgroup.folder}`, tone: 'good' }
      : { label: 'control group', value: cgroup.why, tone: 'dim' },
    psi.available
      ? { label: 'PSI', value: `of the ${psi.of}, ${psi.path}`, tone: 'good' }
      : { label: 'PSI', value: psi.why, tone: 'warn' },
    { label: 'allocator', value: `${allocator.name}${version}` },
    capabilityFact('trim', trim),
    capabilityFact('collections', collect.full),
    { label: 'mmap', value: mapping.length === 0 ? 'nothing is known' : mapping.join(', ') },
    {
      label: 'temporary files',
      value: `${temporary.folder}${temporary.inMemory === undefined ? ', on a disk' : `, in memory (${temporary.inMemory})`}`,
    },
  ];
}

function capabilityFact(label: string, capability: Capability): Fact {
  return capability.available
    ? { label, value: capability.how.replaceAll('`', ''), tone: 'good' }
    : { label, value: capability.why.replaceAll('`', ''), tone: 'warn' };
}
