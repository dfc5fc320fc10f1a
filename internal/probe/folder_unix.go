//go:build unix

package probe

import (
	"cmp"
	"errors"
	"syscall"
)

const mayMakeFiles = 2 | 1 // W_OK and X_OK of access(2) (POSIX.1-2017)

// inspect asks the system about f.Path.
func (f *Folder) inspect() {
	var info syscall.Stat_t
	err := syscall.Stat(f.Path, &info)
	if err == nil && info.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		err = syscall.ENOTDIR
	}
	if err == nil {
		err = syscall.Access(f.Path, mayMakeFiles)
	}
	if err != nil {
		f.Fault = errors.New(cmp.Or(advice("the folder "+f.Path, f.Path, err), f.Path+": "+err.Error()))
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(f.Path, &s); err != nil {
		return
	}
	f.Room = new(uint64(s.Bavail) * uint64(s.Bsize)) //nolint:unconvert // other systems have other types
}
