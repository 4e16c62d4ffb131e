/**
 * Large files: which files a repository keeps outside of git.
 *
 *   .gitattributes ──▶ largeFiles ──▶ file, bytes ──▶ yes or no
 */

// More than this the hub does not take into git, whatever the attributes say.
const GIT_BYTES_MAX: number = 10 * 1024 * 1024;

/**
 * @param attributes text of .gitattributes, of which lines with `filter=lfs` count: patterns as git
 * has them, where `*` and `?` stand for anything but a slash, and `**` for folders too
 */
export function largeFiles(attributes: string): (file: string, bytes: number) => boolean {
  const patterns = attributes
    .split(/\r?\n/)
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => !words[0]?.startsWith('#') && words.includes('filter=lfs'))
    .map(([pattern = '']) => matcher(pattern));
  return (file, bytes) => bytes > GIT_BYTES_MAX || patterns.some((pattern) => pattern.test(file));
}

// Folders in between, all that is in a folder, parts of a name, and what a RegExp would misread.
const MARKS = /(?<=^|\/)\*\*\/|(?<=\/)\*\*$|\*+|\?|[.+^${}()|[\]\\]/g;

function matcher(pattern: string): RegExp {
  const text = pattern.replace(/^\//, '').replace(MARKS, (mark, at: number, whole: string) => {
    if (mark === '**/') return '(?:.*/)?';
    if (mark === '**' && whole[at - 1] === '/' && at + 2 === whole.length) return '.+';
    if (mark === '?') return '[^/]';
    return mark.startsWith('*') ? '[^/]*' : `\\${mark}`;
  });
  // Without a slash it is about the file's own name, in whatever folder.
  return new RegExp(pattern.includes('/') ? `^${text}$` : `(^|/)${text}$`);
}
