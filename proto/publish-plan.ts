/** Publish plan: what a folder's upload would send, as the local API tells it. */

export interface PublishFile {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Whether the repository keeps it outside of git, as large files must be. */
  readonly isLarge: boolean;
  /** `same`: the repository has these bytes under this name, and they are not sent again. */
  readonly state: 'new' | 'changed' | 'same';
  /** Where it lies on another machine, which it is sent from. */
  readonly machine?: string;
}

export interface PublishPlan {
  readonly repository: string;
  readonly hubUrl: string;
  /** Undefined where the hub was not asked, because it cannot be reached. */
  readonly exists?: boolean;
  readonly private: boolean;
  /** In the order of their names. */
  readonly files: readonly PublishFile[];
  /** What is wrong with the head of the card: nothing is sent while there is a fault. */
  readonly card: readonly CardFinding[];
}

export interface CardFinding {
  readonly severity: 'fault' | 'warning';
  /** A key of the head; absent where it is about all of it. */
  readonly key?: string;
  readonly text: string;
}
