//go:build unix

package server

import "syscall"

// freeSpace is what may be written below a folder, in bytes.
func freeSpace(dir string) (uint64, error) {
	var s syscall.Statfs_t
	err := syscall.Statfs(dir, &s)
	return s.Bavail * uint64(s.Bsize), err
}
