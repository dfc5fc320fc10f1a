import js from '@eslint/js'
import globals from 'globals'

const rules = {
  ...js.configs.recommended.rules,
  'eqeqeq': 'error',
  'max-len': ['error', { code: 120, tabWidth: 4, ignoreUrls: true }],
  'max-lines-per-function': ['error', { max: 60, skipComments: true }],
  'no-implicit-globals': 'error',
  'no-shadow': ['error', { builtinGlobals: false }],
  'no-unused-vars': 'error',
  'no-use-before-define': ['error', { functions: false, variables: false }],
  'no-var': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
  'prefer-template': 'off',
}
const linterOptions = { reportUnusedDisableDirectives: 'error' }

export default [
  { ignores: ['**/*.min.js'] },
  {
    files: ['internal/**/*.js'],
    ignores: ['**/testdata/**'],
    languageOptions: { sourceType: 'module', globals: { ...globals.browser, uPlot: 'readonly' } },
    linterOptions,
    rules: {
      ...rules,
      'no-restricted-syntax': ['error', {
        selector: ':matches(Program, ExportNamedDeclaration) > VariableDeclaration[kind="let"]',
        message: 'Keep what changes in an object that owns it.',
      }, {
        selector: 'TemplateElement[value.raw=/\\n/]',
        message: 'The service removes the lines of a page that look like comments (internal/httpapi/page.go).',
      }],
    },
  },
  {
    files: ['internal/httpapi/pages/docs/*.js'],
    languageOptions: { globals: { ...globals.browser, SwaggerUIBundle: 'readonly' } },
  },
  {
    files: ['**/testdata/**/*.js', '.ci/js/*.js'],
    languageOptions: { sourceType: 'module', globals: globals.node },
    linterOptions,
    rules,
  },
]
