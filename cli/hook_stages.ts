/** The stages of CRIU's action script at a restore that `criu-hook` does something at; at every other it succeeds at once. */
export const hookStages = ["pre-restore", "post-restore", "pre-resume", "post-resume"] as const;

/** A stage that `criu-hook` does something at. */
export type HookStage = (typeof hookStages)[number];

/** Whether CRTOOLS_SCRIPT_ACTION names such a stage. */
export function isHookStage(action: string | undefined): action is HookStage {
  return (hookStages as readonly (string | undefined)[]).includes(action);
}

/**
 * The last of these, at which only a daemon that is named is told anything: it may be where CRIU's process ids say nothing to it. Any other
 * has been told at the stage before, and sees by itself when CRIU lets the tree go.
 */
export const namedStage = "post-resume" satisfies HookStage;

/**
 * The stages of a dump at which `dump-hook` does something: nothing is stopped yet; CRIU has written its images, and the tree has not gone on
 * or ended yet.
 */
export const dumpStages = ["pre-dump", "post-dump"] as const;

/** A stage that `dump-hook` does something at. */
export type DumpStage = (typeof dumpStages)[number];

/** Whether CRTOOLS_SCRIPT_ACTION names such a stage. */
export function isDumpStage(action: string | undefined): action is DumpStage {
  return (dumpStages as readonly (string | undefined)[]).includes(action);
}

/**
 * Whether CRIU's action script has nothing to do at a stage: CRIU runs it at every one, and waits.
 *
 * @param named whether a daemon is named
 */
export function isIdleStage(action: string, named: boolean): boolean {
  return (!isHookStage(action) || (action === namedStage && !named)) && !isDumpStage(action);
}
