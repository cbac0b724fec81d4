import { unstable_cache } from 'next/cache';

export const revalidate = 600;
export const dynamicParams = true;

/** Pages are made when they are first asked for. */
export function generateStaticParams() {
  return [];
}

const renderedAt = unstable_cache(async () => process.hrtime.bigint().toString(), ['rendered'], { tags: ['posts'] });

export default async function Post({ params }) {
  const { id } = await params;
  return (
    <main>
      <h1>Post {id}</h1>
      <p id="made">{process.hrtime.bigint().toString()}</p>
      <p id="data">{await renderedAt()}</p>
      <p>{`${id} `.repeat(4_000)}</p>
    </main>
  );
}
