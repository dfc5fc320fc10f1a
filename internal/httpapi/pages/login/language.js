// @ts-check
// The language of the page: its words, and how it writes numbers and dates.

import { $ } from './dom.js'
import { browser } from './storage.js'

const stored = 'otp.language' // in localStorage

/**
 * Returns a JSON file of the page.
 *
 * @param {string} path
 */
export async function load(path) {
  const response = await fetch(new URL(path, import.meta.url))
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response.json()
}

/**
 * Isolates a text that reads from left to right in every language.
 *
 * @param {string} text
 */
export const ltr = text => `\u2066${text}\u2069`

export class Language {
  tag = ''
  /** @type {Record<string, string>} */
  words = {}
  /** The words for the code of each Problem. @type {Record<string, string>} */
  problems = {}
  /** The language that was asked for last; its words may still be on their way. */
  wanted = ''
  #whole = new Intl.NumberFormat()
  #waits = new Intl.RelativeTimeFormat()
  #past = new Intl.RelativeTimeFormat()
  #select = $('language', HTMLSelectElement)

  /** Returns the language of the address, or the chosen one, or the first of the browser's that the page offers. */
  preferred() {
    const offered = [...this.#select.options].map(option => option.value)
    const asked = new URLSearchParams(location.search).get('lang')
    const tags = [asked, browser.getItem(stored), ...navigator.languages]
    return tags.map(tag => tag?.toLowerCase().split(/[-_]/)[0] ?? '').find(tag => offered.includes(tag)) ?? 'en'
  }

  /**
   * Loads a language and writes the words that never change. If another language was asked for meanwhile, it does
   * nothing. It throws if the words do not load.
   *
   * @param {string} tag
   */
  async speak(tag) {
    this.wanted = tag
    const { problems, ...words } = await load(`words.${tag}.json`)
    if (this.wanted !== tag) return
    Object.assign(this, { tag, words, problems })
    this.#whole = new Intl.NumberFormat(tag, { useGrouping: false })
    this.#waits = new Intl.RelativeTimeFormat(tag)
    this.#past = new Intl.RelativeTimeFormat(tag, { numeric: 'auto' })
    document.documentElement.lang = tag
    document.documentElement.dir = ['ar', 'fa'].includes(tag) ? 'rtl' : 'ltr'
    this.#select.value = tag
    for (const element of document.querySelectorAll('[data-word]')) {
      element.textContent = words[element.getAttribute('data-word') ?? '']
    }
  }

  /** Remembers the language for the next visit, in place of the one in the address. */
  remember() {
    browser.setItem(stored, this.tag)
    const url = new URL(location.href)
    url.searchParams.delete('lang')
    history.replaceState(history.state, '', url)
  }

  /**
   * Returns a word with its placeholders filled in.
   *
   * @param {string} word
   * @param {Record<string, string>} [values]
   */
  say(word, values = {}) {
    return this.words[word].replace(/\{(\w+)\}/g, (_, name) => values[name])
  }

  /**
   * Writes a word into an element, with nodes in the places of its placeholders.
   *
   * @param {Element} element
   * @param {string} word
   * @param {Record<string, Node>} nodes
   */
  write(element, word, nodes) {
    const parts = this.words[word].split(/\{(\w+)\}/) // each second part is the name of a placeholder
    element.replaceChildren(...parts.map((part, i) => i % 2 ? nodes[part] : part))
  }

  /** @param {number} n a whole number */
  number(n) {
    return this.#whole.format(n)
  }

  /**
   * Writes a wait in words, such as "in 9 minutes". It is rounded up, so that it is over when the words say so.
   *
   * @param {number} seconds
   */
  wait(seconds) {
    const whole = Math.max(1, Math.ceil(seconds))
    if (whole < 60) return this.#waits.format(whole, 'second')
    const minutes = Math.ceil(whole / 60)
    return minutes < 120 ? this.#waits.format(minutes, 'minute') : this.#waits.format(Math.ceil(minutes / 60), 'hour')
  }

  /**
   * Writes how long ago a time was, such as "3 minutes ago" or "yesterday".
   *
   * @param {string} text an ISO 8601 time
   * @param {number} now in milliseconds
   */
  ago(text, now) {
    const then = Math.min(Date.parse(text), now)
    const minutes = Math.floor((now - then) / 60_000)
    if (minutes < 1) return this.#past.format(0, 'second')
    if (minutes < 60) return this.#past.format(-minutes, 'minute')
    if (minutes < 24 * 60) return this.#past.format(-Math.floor(minutes / 60), 'hour')
    /** @param {number} time */
    const midnight = time => new Date(time).setHours(0, 0, 0, 0)
    const days = Math.round((midnight(now) - midnight(then)) / 86_400_000)
    if (days < 31) return this.#past.format(-days, 'day')
    if (days < 365) return this.#past.format(-Math.floor(days / 30.5), 'month')
    return this.#past.format(-Math.floor(days / 365), 'year')
  }

  /**
   * @param {string} text an ISO 8601 time
   * @param {Intl.DateTimeFormatOptions} style
   */
  date(text, style) {
    return new Intl.DateTimeFormat(this.tag, style).format(new Date(text))
  }
}
