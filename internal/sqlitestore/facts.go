package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"dekamond-otp/internal/doctor"
	"dekamond-otp/migrations"
)

// Facts looks at the file without making or changing any. One that nobody has open is read as it lies there, since a
// reader would make the files of the log beside it.
func Facts(ctx context.Context, path string) (facts doctor.SQLite, err error) {
	facts.Path = path
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		facts.Missing = true
		return facts, nil
	}
	if err != nil {
		return facts, err
	}
	facts.Others = info.Mode().Perm()&0o004 != 0
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
		return facts, doctor.Said("is no database of SQLite, or cannot be read")
	}
	facts.Pending, err = migrations.Pending(ctx, db, migrations.SQLite)
	return facts, err
}
