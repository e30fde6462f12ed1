package platform

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes and places in the structs of include/uapi/linux/netfilter_ipv4/ip_tables.h,
// for 64-bit programs.
const (
	optionTableInfo    = 64 // IPT_SO_GET_INFO
	optionTableReplace = 64 // IPT_SO_SET_REPLACE
	tableName          = 32
	tableInfo          = 84 // struct ipt_getinfo
	tableInfoCount     = 76 // num_entries in it
	tableInfoSize      = 80 // size in it
	tableReplace       = 96 // struct ipt_replace without its entries
	entryCounters      = 16 // struct xt_counters
)

// ReplaceTable replaces a legacy table of an address family by another's: info is
// what IPT_SO_GET_INFO said of that (struct ipt_getinfo), entries are what
// IPT_SO_GET_ENTRIES gave, without the head before them.
func (t *Twin) ReplaceTable(family, level int, info, entries []byte) error {
	if unsafe.Sizeof(uintptr(0)) == 4 {
		return fmt.Errorf("by a 32-bit program: %w", errors.ErrUnsupported)
	}
	if len(info) != tableInfo || int(binary.NativeEndian.Uint32(info[tableInfoSize:])) != len(entries) {
		return fmt.Errorf("table of %d bytes with %d bytes about it", len(entries), len(info))
	}
	// The old table's counters are handed out: there must be room for them.
	old, err := getsockopt(family, level, optionTableInfo, info[:tableName], tableInfo)
	if err != nil {
		return fmt.Errorf("getsockopt IPT_SO_GET_INFO: %w", err)
	}
	count := binary.NativeEndian.Uint32(old[tableInfoCount:])
	counters := make([]byte, int(count)*entryCounters)
	b := make([]byte, tableReplace, tableReplace+len(entries))
	copy(b, info[:tableName+4])                                               // name, valid_hooks
	copy(b[tableName+4:], info[tableInfoCount:])                              // num_entries, size
	copy(b[tableName+12:], info[tableName+4:tableInfoCount])                  // hook_entry, underflow
	binary.NativeEndian.PutUint32(b[84:], count)                              // num_counters
	*(*unsafe.Pointer)(unsafe.Pointer(&b[88])) = unsafe.Pointer(&counters[0]) // counters
	b = append(b, entries...)
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	defer unix.Close(fd)
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), optionTableReplace,
		uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0)
	runtime.KeepAlive(counters)
	if errno != 0 {
		return fmt.Errorf("setsockopt IPT_SO_SET_REPLACE: %w", errno)
	}
	return nil
}
