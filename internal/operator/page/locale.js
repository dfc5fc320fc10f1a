// @ts-check
// uPlot writes numbers in the language of the browser, which is none in a browser without a locale, such as "C".

try {
  Intl.getCanonicalLocales(navigator.language)
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en' })
}
