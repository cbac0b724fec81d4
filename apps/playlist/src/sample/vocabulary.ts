/** The made-up world of the sample: no broadcaster, host or show of it exists. All pieces are UTF-8 bytes, ready to be copied. */

const pieces = (...texts: readonly string[]): readonly Buffer[] => texts.map((text) => Buffer.from(text));

/** How a word is shown, and the ASCII form that stands in ids. */
export interface Word {
  readonly shown: Buffer;
  readonly id: Buffer;
}

const word = (shown: string, id: string): Word => ({ shown: Buffer.from(shown), id: Buffer.from(id) });

export const BRANDS: readonly Word[] = [
  word('Northlight', 'Northlight'),
  word('Harbour', 'Harbour'),
  word('Kestrel TV', 'Kestrel'),
  word('Télé Marée', 'TeleMaree'),
  word('Radio Zephyr', 'RadioZephyr'),
  word('Östersken', 'Ostersken'),
  word('Канал Волна', 'KanalVolna'),
  word('海風テレビ', 'Umikaze'),
  word('قناة الميناء', 'AlMina'),
  word('Salt & Tide', 'SaltTide'),
  word('Lantern', 'Lantern'),
  word('Bluewater', 'Bluewater'),
  word('Canal Añil', 'CanalAnil'),
  word('Wyvern', 'Wyvern'),
  word('Meridian Öst', 'MeridianOst'),
  word('Copperfield', 'Copperfield'),
  word('Orchard One', 'OrchardOne'),
  word('Tramontana', 'Tramontana'),
  word('Żagiel', 'Zagiel'),
  word('Estuary', 'Estuary'),
  word('Foghorn', 'Foghorn'),
  word('Gannet', 'Gannet'),
];

export const GENRES: readonly Word[] = [
  word('News', 'News'),
  word('Sport', 'Sport'),
  word('Sports Live', 'SportsLive'),
  word('Movies', 'Movies'),
  word('Kids', 'Kids'),
  word('Music', 'Music'),
  word('Nature', 'Nature'),
  word('Docs', 'Docs'),
  word('Drama', 'Drama'),
  word('Comedy', 'Comedy'),
  word('Kitchen', 'Kitchen'),
  word('Regional', 'Regional'),
];

/** Groups of the playlist, by the number of the genre; several spellings, as in life. */
export const GROUPS: readonly (readonly Buffer[])[] = [
  pieces('News', 'NEWS', 'News;World', 'Nachrichten'),
  pieces('Sports', 'Sport', 'SPORTS HD', 'Deportes'),
  pieces('Sports', 'Live Sport', 'sports | live', 'Sport;Live'),
  pieces('Movies', 'Cinema', 'Filme', 'Movies;Series'),
  pieces('Kids', 'Children', 'Kids;Animation', 'Enfants'),
  pieces('Music', 'Musik', 'Music;Radio', 'Musique'),
  pieces('Documentary', 'Nature', 'Docs & Nature', 'Documentary;Outdoor'),
  pieces('Documentary', 'Docs', 'Documentales', 'Culture;Documentary'),
  pieces('Series', 'Drama', 'Séries', 'Series;Drama'),
  pieces('Entertainment', 'Comedy', 'Unterhaltung', 'Entertainment;Comedy'),
  pieces('Lifestyle', 'Cooking', 'Cuisine', 'Lifestyle;Cooking'),
  pieces('Local', 'Regional', 'Régions', 'General;Local'),
];

export const UNWANTED_GROUPS = pieces('XXX', 'Adult XXX', 'xxx | night', 'Late;XXX');

export const COUNTRIES = pieces('de', 'fr', 'es', 'uk', 'se', 'pl', 'it', 'nl', 'pt', 'us', 'br', 'jp');
export const COUNTRY_PREFIXES = pieces(
  'DE: ',
  'FR: ',
  'ES: ',
  'UK: ',
  'SE: ',
  'PL: ',
  'IT: ',
  'NL: ',
  'PT: ',
  'US: ',
  'BR: ',
  'JP: ',
);
export const LANGUAGES = pieces(
  'German',
  'French',
  'Spanish',
  'English',
  'Swedish',
  'Polish',
  'Italian',
  'Dutch',
  'Portuguese',
  'English',
  'Portuguese',
  'Japanese',
);
export const LANGUAGE_CODES = pieces('de', 'fr', 'es', 'en', 'sv', 'pl', 'it', 'nl', 'pt', 'en', 'pt', 'ja');

export const QUALITIES = pieces('HD', 'FHD', 'SD', 'UHD', '4K', 'HEVC', '(1080p)', '(720p)');
export const NAME_TAILS = pieces(', the Evening Edition', ' [Geo-blocked]', ', Live & Late', ' [Not 24/7]');
export const HOSTS = pieces(
  'edge.northlight.example',
  'cdn.harbour.example',
  'live.tide.example:8443',
  'stream.wyvern.example',
  'media-eu.lantern.example',
  'play.estuary.example:8080',
);
export const PLAYER_LINES = pieces(
  '#EXTVLCOPT:http-user-agent=Mozilla/5.0 (X11; Linux x86_64) Sample/1.0',
  '#EXTVLCOPT:http-referrer=https://www.harbour.example/live',
  '#KODIPROP:inputstream=inputstream.adaptive',
  '#KODIPROP:inputstream.adaptive.manifest_type=hls',
  '#EXT-X-SAMPLE-MARK:kept as it stands',
);

/** Names that share no word with the playlist's, for the guide's channels that nobody asked for. */
export const FOREIGN_BRANDS: readonly Word[] = [
  word('Quillon', 'Quillon'),
  word('Vexatron', 'Vexatron'),
  word('Mübadil', 'Mubadil'),
  word('Pyrolux', 'Pyrolux'),
  word('Ознака', 'Oznaka'),
  word('Drumlin', 'Drumlin'),
  word('Juxta', 'Juxta'),
  word('Xylem', 'Xylem'),
];

export const TITLES = pieces(
  'The Keeper of the Light',
  'Morning Tide',
  'Neap and Spring',
  'Guten Morgen, Hafen',
  'Le Grand Large',
  'Football: the Second Half',
  'Cooking with Salt &amp; Smoke',
  'Nine Bells',
  'Small Boats, Big Water',
  'Última Hora',
  'Kids of the Quay',
  'Världens fyrar',
  'Evening News',
  'The Long Reach',
  'Letters from Port',
  'Wind &amp; Weather',
  'Станция Север',
  '海の手帖',
  'Harbour Court',
  'Below Deck Stories',
);
export const SUB_TITLES = pieces(
  'A stranger at the lock',
  'Part two',
  'Der alte Kran',
  'Low water',
  'The bell that would not ring',
  'Retour au port',
  'Fog over the estuary',
  'What the pilot knew',
);
export const SENTENCES = pieces(
  'A storm keeps the ferry in port and six passengers find out that they know each other.',
  'The crew repairs the old engine while the harbour master looks for his missing chart.',
  'Im Hafen von Östersken wird der letzte Kutter versteigert, und niemand bietet.',
  'Three cooks, one galley, &quot;no recipes&quot;: the winner sails, the others wash up.',
  'Une enquête sur les marées noires d&apos;hier &amp; les promesses d&apos;aujourd&apos;hui.',
  'The highlights of the day with reports from 12 correspondents, sport and the weather.',
  'Los faros de la costa cuentan su historia, desde el aceite hasta la fibra óptica.',
  'Live from the quay: music, guests and the question of who painted the crane pink.',
  'В старом доке находят дневник, который меняет историю целого города.',
  'Repeat from Tuesday.',
);
export const CATEGORIES = pieces(
  'News',
  'Sport',
  'Film',
  'Children',
  'Music',
  'Documentary',
  'Series',
  'Cooking',
  'Magazine',
  'Culture',
);
