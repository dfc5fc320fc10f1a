// The types of the operator's page: numbers.json, and what the page uses of uPlot. The service does not serve this
// file, because go:embed leaves out names that begin with an underscore.

import type { Sum } from './numbers.js'

export interface NumbersReply { // numbers.json
  now: string // ISO 8601, as all times
  version: string
  copies: number
  shared: boolean // false: the numbers of the other copies are as old as shared_at
  shared_at: string | null // null: the numbers of the other copies were never known
  outbox: { messages: number, oldest_seconds: number } | null // null: Redis does not answer
  resting: string[] // providers that get no calls for a while
  delay_bounds: number[] // seconds
  hours: Period[] // of two days: oldest first, without the hours in which nothing happened
  five_minutes: Period[] // the same of the last hour, by five minutes
}

export interface Period {
  from: string
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

export interface LookupReply { // message.json
  kind: 'ticket' | 'request' | 'message' | 'trace' | 'unknown'
  search: string // is in every line of the log about it; '' if the kind is unknown
  message: MessageReply | null // of a ticket
}

export interface MessageReply {
  id: string
  send: number // of the messages of a code, from 1
  purpose: string // login or phone_change
  opened_at: string
  redis_answers: boolean
  live: { state: string, provider: string, wrong_attempts: number, expires_in: number } | null
}

// Filter selects counts. A field that is undefined selects all of them; '' selects counts without that label.
export interface Filter {
  region?: string
  provider?: string
  reason?: string
}

// Stretch is a period with its sum. Times are seconds since 1970.
export interface Stretch {
  start: number
  end: number
  isRunning: boolean // it is not over yet
  sum: Sum
}

export type Cell = Node | string

export type Mood = 'good' | 'watch' | 'bad' | 'none'

export interface Verdict {
  mood: Mood
  headline: string
  points: Point[]
  short: string // for the title of the tab; '' for none
}

// Point is one thing that is wrong.
export interface Point {
  mood: 'watch' | 'bad'
  text: string
  help: string // the place in the documents that explains it
}

export interface Series {
  kind: 'requested' | 'sent' | 'delivered' | 'verified' | 'refused' | 'wrong' | 'failed'
  name: string
  shape: 'bars' | 'line' | 'dashed' | 'dotted'
  column: Column
}

export type Column = (number | null)[]

export interface Plot {
  ctx: CanvasRenderingContext2D
  bbox: { left: number, top: number, width: number, height: number } // in pixels of the canvas
  data: Column[]
  valToPos(value: number, scale: string, inPixelsOfCanvas: boolean): number
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
