// The types of the operator's page: numbers.json, and what the page uses of uPlot. The service does not serve this
// file, because go:embed leaves out names that begin with an underscore.

export interface NumbersReply { // numbers.json
  now: string // ISO 8601, as all times
  version: string
  copies: number
  shared: boolean // false: the numbers of the other copies are as old as shared_at
  shared_at: string | null // null: the numbers of the other copies were never known
  outbox: { messages: number, oldest_seconds: number } | null // null: Redis does not answer
  resting: string[] // providers that get no calls for a while
  delay_bounds: number[] // seconds
  hours: Hour[] // oldest first, without the hours in which nothing happened
}

export interface Hour {
  hour: string
  counts: Count[]
  delays: number[] // codes answered within each bound, and at last the codes that took longer
}

export interface Count {
  event: string
  region?: string
  provider?: string
  reason?: string
  n: number
}

// Filter selects counts. A field that is undefined selects all of them; '' selects counts without that label.
export interface Filter {
  region?: string
  provider?: string
  reason?: string
}

export type Cell = Node | string

export type Mood = 'good' | 'watch' | 'bad' | 'none'

export interface Verdict {
  mood: Mood
  headline: string
  points: string[]
  short: string // for the title of the tab; '' for none
}

export interface Series {
  kind: 'requested' | 'sent' | 'delivered' | 'verified' | 'refused' | 'wrong' | 'failed'
  name: string
  shape: 'bars' | 'line' | 'dashed' | 'dotted'
}

export type Column = (number | null)[]

export interface Plot {
  data: Column[]
  cursor: { idx: number | null | undefined }
  setData(data: Column[]): void
  setSize(size: { width: number, height: number }): void
  destroy(): void
}

declare global {
  const uPlot: {
    new (options: object, data: Column[], target: HTMLElement): Plot
    paths: { bars(options: object): unknown, linear(): unknown }
  }
}
