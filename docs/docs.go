// Package docs holds the documents, so that a running service can show those of its own version without the internet.
package docs

import "embed"

// Files has the pages as they are in this folder, without the pictures.
//
//go:embed *.md clients/*.md
var Files embed.FS
