package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"dekamond-otp/internal/probe"
	"dekamond-otp/migrations"
)

// Facts is what Inspect finds out about the file of a database.
type Facts struct {
	Path          string
	Folder        probe.Folder
	Missing       bool
	WorldReadable bool     // Every user of the machine can read it.
	Pending       []string // Migrations.
}

// Inspect reads the file and neither makes nor changes any. A file that no process has open is read as immutable,
// because a reader would otherwise make the files of the write-ahead log beside it.
func Inspect(ctx context.Context, path string) (facts Facts, err error) {
	facts.Path, facts.Folder = path, probe.InspectFolder(path)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		facts.Missing = true
		return facts, nil
	}
	if err != nil {
		return facts, err
	}
	facts.WorldReadable = info.Mode().Perm()&0o004 != 0
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return facts, err
	}
	if err := f.Close(); err != nil {
		return facts, err
	}
	file := "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=ro&_pragma=busy_timeout(1000)"
	if _, err := os.Stat(path + "-shm"); errors.Is(err, fs.ErrNotExist) {
		file += "&immutable=1"
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return facts, fmt.Errorf("sqlitestore: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.QueryRowContext(ctx, "select count(*) from sqlite_schema").Scan(new(int)); err != nil {
		return facts, probe.Error("is no database of SQLite, or cannot be read")
	}
	facts.Pending, err = migrations.Pending(ctx, db, migrations.SQLite)
	return facts, err
}
