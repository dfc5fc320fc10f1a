// The types of the login page: the replies of the service, as openapi.yaml describes them, and what the page makes of
// them. The service does not serve this file, because go:embed leaves out names that begin with an underscore.

import type { Drawer } from './drawer.js'
import type { Language } from './language.js'
import type { Notice } from './notice.js'
import type { Phones } from './phones.js'
import type { State } from './state.js'
import type { Steps } from './steps.js'
import type { Task } from './task.js'
import type { Tokens } from './tokens.js'

// ── Replies ──

export interface Settings { // settings.json
  app_name: string
  default_region: string
  terms_url: string
  privacy_url: string
  sms_notice: boolean
  logo: 'none' | 'any' | 'needs_light' // whether the icon is a logo, and whether it can be seen on dark
  dev: boolean // whether dev/messages exists
  regions: Region[]
  plans: Record<string, Plan> // by calling code
}

export interface Region { // phone.Region of the service
  code: string // ISO 3166
  calling: string
  example: string // digits without the calling code
  mobile: string // a regular expression for whole numbers, which can receive texts
  own?: string // a regular expression for the first digits of its numbers, where several regions share a calling code
}

export interface Plan { // phone.Plan of the service
  main: string
  prefix?: string
  formats?: Format[]
}

export interface Format { // phone.Format of the service
  pattern: string
  groups: number[]
  format: string
  leading?: string[]
  rule?: string
}

export type Channel = 'sms' | 'voice' | 'whatsapp' | 'telegram'

export interface SendReply { // 202 of POST otp/request
  phone: string
  channel: Channel
  channels: Channel[] // that the number can have
  request_id: string
  code_length: number
  expires_in: number // seconds, as all durations
  resend_in: number
}

export interface LiveCode { // in a problem: the code of an earlier message, which works without a request_id
  code_length: number
  expires_in: number
}

export type SendStatus = 'queued' | 'sent' | 'delivered' | 'failed'

export interface StatusReply { // GET otp/status
  status: SendStatus
  resend_in: number
}

export interface User {
  id: string
  phone: string
  created_at: string
  last_login_at: string
}

export interface TokenReply { // POST token/refresh
  access_token: string
  expires_in: number
  refresh_token: string
}

// LoginReply answers POST otp/verify. Its tokens are missing where SIGNUP_LOGS_IN is false.
export interface LoginReply extends TokenReply {
  user: User
  new_user: boolean
  device_token?: string
}

// PhoneChangeReply answers POST me/phone/verify. The device_token is for the new phone.
export interface PhoneChangeReply extends User {
  device_token?: string
}

export interface Session { // of GET me/sessions
  id: string
  last_used_at: string
  user_agent: string
  ip: string
  current: boolean
}

export interface DevMessage { // of GET dev/messages
  to: string
  sent_at: string
  locale: string
  code: string
  text: string
}

// ── The page ──

export interface TypedPhone {
  region: string
  digits: string // in international form they begin with the calling code
  international: boolean // whether the calling code is not known (yet)
}

export interface AskedPhone { // the phone in POST otp/request
  phone: string
  region?: string // in whose form the phone is written; absent behind a plus
}

export interface Challenge {
  asked: AskedPhone
  phone: string // in E.164 form, or as much like it as the page knows
  request_id?: string // unknown if others have asked for the code, such as another tab
  code_length: number
  sent_at: number // seconds of now(), as all times
  resend_at: number
  expires_at: number
  status: SendStatus
  channel?: Channel // of the last message; unknown if others have asked for the code
  channels?: Channel[] // that the person can choose in place of the usual one
  again?: 'resent' | 'resent_new' // the word for a message that was not the first one
  over?: boolean // whether no code works any more
  refused_until?: number // when the limits accept another send, after they have refused one
}

export interface Purpose { // of a code; see purposes.js
  wordOf: { title: string, hint: string, lead: string, live: string, verify: string, back: string }
  isFinal: boolean // whether the last digit alone does not send the code, because nothing can be undone
  request(phone: AskedPhone, locale: string, channel?: Channel): Promise<SendReply>
  redeem(challenge: Challenge, code: string, isAwaited: () => boolean): Promise<void> // throws a Problem
  end(): void // is called when the person turns to something else
}

export type Account = User & { isNew?: boolean, sessions?: Session[] }

export type StepName = 'phone' | 'code' | 'account'

export interface Step {
  section: HTMLElement // is shown during this step only
  focus: HTMLElement
  title(): string
  lead(): string
  enter?(isFresh: boolean): void // is called whenever the step is shown; isFresh after another step
  leave?(): void // is called whenever another step is shown
  render(): void // writes what depends on the language
}

export interface Page { // what the steps share; login.js makes it
  settings: Settings
  language: Language
  phones: Phones
  state: State
  tokens: Tokens
  notice: Notice
  task: Task
  steps: Steps
  drawer?: Drawer // in development only
}
