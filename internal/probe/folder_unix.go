//go:build unix

package probe

import "syscall"

const mayMakeFiles = 2 | 1 // W_OK and X_OK of access(2) (POSIX.1-2017)

// inspect asks the system about f.Path.
func (f *Folder) inspect() {
	f.Closed = syscall.Access(f.Path, mayMakeFiles) != nil
	var s syscall.Statfs_t
	if err := syscall.Statfs(f.Path, &s); err != nil {
		return
	}
	f.Room = new(uint64(s.Bavail) * uint64(s.Bsize)) //nolint:unconvert // other systems have other types
}
