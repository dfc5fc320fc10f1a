// What the page says, in its language, and how that writes numbers and dates.

import { browser } from './api.js'

const $ = id => document.getElementById(id)

export let words, language, wanted, plain // plain writes whole numbers
let pair

// wantedLanguage is the one in the address, or the chosen one, or the first that the browser prefers and there is.
export function wantedLanguage() {
  const offered = [...$('language').options].map(option => option.value)
  const tags = [new URLSearchParams(location.search).get('lang'), browser.getItem('otp.language'), ...navigator.languages, 'en']
  return tags.map(tag => tag?.toLowerCase().split(/[-_]/)[0]).find(tag => offered.includes(tag))
}

export async function load(path) {
  const response = await fetch(new URL(path, import.meta.url))
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response.json()
}

// speak takes a language up, unless another one was wanted since.
export async function speak(tag) {
  wanted = tag
  const loaded = await load(`words.${tag}.json`)
  if (wanted !== tag) return
  words = loaded
  language = tag
  plain = new Intl.NumberFormat(language, { useGrouping: false })
  pair = new Intl.NumberFormat(language, { useGrouping: false, minimumIntegerDigits: 2 })
  document.documentElement.lang = language
  document.documentElement.dir = ['ar', 'fa'].includes(language) ? 'rtl' : 'ltr'
  $('language').value = language
  for (const element of document.querySelectorAll('[data-word]')) element.textContent = words[element.dataset.word]
}

export const say = (word, values = {}) => words[word].replace(/\{(\w+)\}/g, (_, name) => values[name])
// time writes seconds as a clock does.
export function time(seconds) {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  return (h ? `${plain.format(h)}:${pair.format(m)}` : plain.format(m)) + `:${pair.format(s)}`
}
export const date = (text, style) => new Intl.DateTimeFormat(language, style).format(new Date(text))
export const ltr = text => `\u2066${text}\u2069` // what reads from left to right in every text
