import { cacheLife, cacheTag } from 'next/cache';

export const dynamic = 'force-dynamic';

async function made(id) {
  'use cache';
  cacheLife('hours');
  cacheTag('made');
  return `${id} ${process.hrtime.bigint()} ${'x'.repeat(20_000)}`;
}

export default async function Cached({ params }) {
  const { id } = await params;
  return <p id="made">{await made(id)}</p>;
}
