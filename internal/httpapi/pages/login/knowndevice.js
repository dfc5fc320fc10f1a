// @ts-check
// The device tokens of the people who have logged in with this browser. With its token, a login has limits of its own,
// which strangers who know the phone cannot use up.

import { digitsOf } from './phones.js'
import { browser } from './storage.js'

const key = 'otp.devices' // in localStorage, so that it outlives the tab and the logout
const most = 8 // people who share the browser

/**
 * Returns the name under which the token of a phone is kept: its last four digits, so that no whole phone stays in the
 * browser. The token of another phone with the same digits counts as none, so nothing but the own limits is lost.
 *
 * @param {string} phone in any form
 */
const nameOf = phone => digitsOf(phone).slice(-4)

/**
 * Returns the names and their tokens, newest first. Another tab may have changed them, so they are always read anew.
 *
 * @returns {[name: string, token: string][]}
 */
function kept() {
  try {
    const list = JSON.parse(browser.getItem(key) ?? '[]')
    return list.filter((/** @type {unknown} */ entry) =>
      Array.isArray(entry) && entry.length === 2 && entry.every(part => typeof part === 'string'))
  } catch { // a broken value is replaced by the next login
    return []
  }
}

/** @param {[name: string, token: string][]} list */
function keep(list) {
  try {
    browser.setItem(key, JSON.stringify(list.slice(0, most)))
  } catch { // the storage is full; the next login is one from a new device
  }
}

/**
 * Returns the token for a phone; undefined if the browser has none.
 *
 * @param {string} phone
 */
export const deviceToken = phone => kept().find(([name]) => name === nameOf(phone))?.[1]

/**
 * Keeps the token of a login. The service may issue none.
 *
 * @param {string} phone
 * @param {string | undefined} token
 */
export function keepDeviceToken(phone, token) {
  if (!token) return
  keep([[nameOf(phone), token], ...kept().filter(([name]) => name !== nameOf(phone))])
}

/** @param {string} phone */
export function forgetDeviceToken(phone) {
  keep(kept().filter(([name]) => name !== nameOf(phone)))
}
