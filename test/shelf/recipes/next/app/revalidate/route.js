import { revalidatePath, revalidateTag } from 'next/cache';

/** `?path=/a`, or `?tag=posts`: at once, so that it is made anew before it is served; with `&profile=max` it is served meanwhile. */
export function POST(request) {
  const { searchParams } = new URL(request.url);
  const path = searchParams.get('path');
  if (path === null) revalidateTag(searchParams.get('tag'), searchParams.get('profile') ?? { expire: 0 });
  else revalidatePath(path);
  return Response.json({ done: true });
}
