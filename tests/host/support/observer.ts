/**
 * Looks at DIRECTORY until the file STOP exists, and counts what its file `who` says; "nothing" when there is none.
 *
 * Usage: observer.ts DIRECTORY STOP
 */
const [directory, stop] = Deno.args as [string, string];
const seen: Record<string, number> = {};

function look(): void {
  let who: string;
  try {
    who = Deno.readTextFileSync(`${directory}/who`);
  } catch (error) {
    who = error instanceof Deno.errors.NotFound ? "nothing" : String(error);
  }
  seen[who] = (seen[who] ?? 0) + 1;
}

function stopped(): boolean {
  try {
    Deno.statSync(stop);
    return true;
  } catch {
    return false;
  }
}

look();
console.log("ready");
while (!stopped()) {
  for (let count = 0; count < 200; count++) look();
}
console.log(JSON.stringify(seen));
