import { formatBytes } from '../bytes.ts';
import type { DoctorReport, Finding } from './doctor-report.ts';

type Seen = Omit<DoctorReport, 'findings'>;

/** The smallest limit in which Node has a heap, and the next that is a round number. */
const LEAST_LIMIT = '64MiB';
const FEW_MAPS = 65_530;

/** What is wrong, what ends a program first. Pure. */
export function findWrongs(seen: Seen): readonly Finding[] {
  return [
    ...heapFindings(seen),
    ...sharingFindings(seen),
    ...machineFindings(seen),
    ...meterFindings(seen),
    ...allocatorFindings(seen),
    ...kernelFindings(seen),
  ];
}

const wrong = (what: string, mend: string): Finding => ({ severity: 'wrong', what, mend });
const advice = (what: string, mend: string): Finding => ({ severity: 'advice', what, mend });

function heapFindings({ limit, heap, heapFlags, capabilities }: Seen): Finding[] {
  const line = `${formatBytes(limit.bytes)} (${limit.from})`;
  if (heapFlags === undefined) {
    const mend = `give it ${LEAST_LIMIT} or more: docker run --memory=${LEAST_LIMIT.replace('iB', '').toLowerCase()}, resources.limits.memory: ${LEAST_LIMIT.replace('B', '')}`;
    return [wrong(`The limit of ${line} is too small for Node and any heap`, mend)];
  }
  if (capabilities.heapFlags.fits) return [];
  const what = `V8 may grow its heap to ${formatBytes(heap.heapLimitBytes)}, which with Node itself is more than the limit of ${line}: the program is killed before V8 collects in earnest`;
  return [wrong(what, `export NODE_OPTIONS="${heapFlags.join(' ')}"`)];
}

function sharingFindings({ limit, capabilities }: Seen): Finding[] {
  const { group } = capabilities;
  if (group === undefined || group.heavyOthers === 0 || limit.share < 1 || !limit.from.startsWith('cgroup')) return [];
  const share = Math.floor(100 / (group.heavyOthers + 1)) / 100;
  const what = `${group.heavyOthers} other process(es) of size share the limit of this container`;
  return [wrong(what, `export PLIMSOLL_SHARE=${share}`)];
}

function machineFindings({ limit, machine, inContainer, temporary }: Seen): Finding[] {
  const findings: Finding[] = [];
  const { availableBytes } = machine;
  if (limit.from === 'machine') {
    if (availableBytes !== undefined && availableBytes < limit.bytes / 2) {
      const what = `Of the ${formatBytes(limit.bytes)} that are taken for the limit only ${formatBytes(availableBytes)} can be had now: others have the rest`;
      findings.push(wrong(what, `export PLIMSOLL_LIMIT=${formatBytes(Math.floor(availableBytes * 0.9))}`));
    }
    if (inContainer) {
      const what = 'Nothing limits the memory of this container: one program may take that of all others';
      findings.push(advice(what, 'docker run --memory=512m, resources.limits.memory: 512Mi'));
    }
  }
  if (temporary.inMemory !== undefined) {
    const what = `Files in ${temporary.folder} are memory (${temporary.inMemory}): what is spilled there frees nothing`;
    findings.push(advice(what, 'export TMPDIR=/var/tmp, or another folder on a disk'));
  }
  return findings;
}

function meterFindings({ limit, capabilities }: Seen): Finding[] {
  const { cgroup, psi } = capabilities;
  const findings: Finding[] = [];
  if (limit.cgroup !== undefined && !cgroup.available) {
    findings.push(
      advice(
        `The charge of the control group cannot be read: ${cgroup.why}`,
        `chmod a+r ${limit.cgroup.folder}/memory.stat`,
      ),
    );
  }
  if (!psi.available && capabilities.platform === 'linux') {
    findings.push(
      advice('The kernel does not tell how long programs wait for memory (PSI)', 'psi=1 on the kernel’s command line'),
    );
  }
  return findings;
}

/** What each is told so that it gives back by itself. */
const GIVE_BACK: Readonly<Record<string, string>> = {
  jemalloc: 'export MALLOC_CONF=background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:1000',
  tcmalloc: 'export TCMALLOC_RELEASE_RATE=10',
  mimalloc: 'export MIMALLOC_PURGE_DELAY=0',
  musl: 'FROM node:24-slim in place of node:24-alpine',
  glibc: 'npm install koffi',
};

function allocatorFindings({ capabilities: { trim, allocator, platform } }: Seen): Finding[] {
  if (trim.available || platform !== 'linux') return [];
  const mend = GIVE_BACK[allocator.name];
  if (mend === undefined) return [];
  return [advice(`Memory that was freed is not given back to the system: ${trim.why.split(':')[0]}`, mend)];
}

function kernelFindings({ kernel }: Seen): Finding[] {
  const findings: Finding[] = [];
  if (kernel.overcommit === 2) {
    const what =
      'The kernel hands out no more address space than there is memory: V8 and WebAssembly set aside far more than they use, and are refused';
    findings.push(wrong(what, 'sysctl vm.overcommit_memory=0'));
  }
  if (kernel.maxMapCount !== undefined && kernel.maxMapCount < FEW_MAPS) {
    const what = `A process may have ${kernel.maxMapCount} mappings only: buffers and mapped files may be refused`;
    findings.push(advice(what, `sysctl vm.max_map_count=${FEW_MAPS}`));
  }
  if (kernel.hugePages === 'always') {
    const what = 'Pages of 2 MiB are used unasked: what is freed of one stays in RAM';
    findings.push(advice(what, 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled'));
  }
  return findings;
}
