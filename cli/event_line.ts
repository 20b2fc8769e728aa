import type { EventError, WireEvent } from "../control/wire.ts";
import { swapSummary } from "./swap_text.ts";
import { countsText, durationText, pathText, printable } from "./text.ts";

/** An event as a line for people, without a newline. */
export function eventLine(event: WireEvent): string {
  if (event.event === "swap.progress") {
    const { source, target, step } = event.params;
    return `swap from ${pathText(source)} to ${pathText(target)}: ${printable(step)}`;
  }
  const { mount } = event.params;
  switch (event.event) {
    case "mount.ready":
      return `${mount}: ready at ${pathText(event.params.mountpoint)} in ${event.params.mode} mode`;
    case "mode.changed": {
      const { mode, previous, waited } = event.params;
      return `${mount}: ${previous} -> ${mode}${waited > 0 ? `, ${waited} waiting requests let go` : ""}`;
    }
    case "request.parked":
      return `${mount}: ${event.params.count} requests wait (${countsText(event.params.byOp)})`;
    case "mount.attempt": {
      const { attempt, error, nextRetryMs } = event.params;
      if (error === undefined) return `${mount}: attempt ${attempt} succeeded`;
      const next = nextRetryMs === undefined ? "" : `; next in ${durationText(nextRetryMs)}`;
      return `${mount}: attempt ${attempt} failed: ${errorText(error)}${next}`;
    }
    case "replace.progress":
      return `${mount}: ${printable(event.params.step)}`;
    case "replace.done":
      return event.params.ok
        ? `${mount}: replaced${event.params.swap === undefined ? "" : `, ${swapSummary(event.params.swap)}`}`
        : `${mount}: not replaced${
          event.params.error === undefined ? "" : `: ${errorText(event.params.error)}`
        }`;
    case "mount.lost":
      return `${mount}: lost: ${printable(event.params.reason)}`;
    case "mount.gone":
      return `${mount}: gone`;
  }
}

function errorText(error: EventError): string {
  return printable(error.message);
}
