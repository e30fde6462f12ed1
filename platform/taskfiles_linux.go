package platform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's own iterator over all descriptors (kernel/bpf/task_iter.c,
// iter/task_file) with a program that picks the sockets: 0.5 µs a descriptor,
// where the walk over /proc takes 2 µs and 20 µs more for each process. It needs
// root, Linux 5.11 and BTF. The program reads; it can't write anything but its
// own output.
//
// bpf(2) is called directly: loading this program through a library that
// relocates it takes 40 ms, with the handful of offsets looked up here 4 ms.

// license is the program's: it calls helpers that are for GPL-compatible ones.
const license = "Dual BSD/GPL\x00"

// errNoIterator says that the kernel or our rights don't give us the iterator.
var errNoIterator = errors.New("no iterator over descriptors")

// taskFileHolders gives the lines of Host.SocketHolders.
func taskFileHolders() ([]byte, error) {
	if err := iteratorFits(); err != nil {
		return nil, err
	}
	program, err := loadTaskFiles()
	if err != nil {
		return nil, err
	}
	iterator, err := startIterator(program)
	if err != nil {
		return nil, err
	}
	defer unix.Close(iterator)
	records, err := readIterator(iterator)
	if err != nil {
		return nil, err
	}
	return holderLines(records), nil
}

// loadTaskFiles is the descriptor of the loaded program, kept for as long as we run.
var loadTaskFiles = sync.OnceValues(func() (fd int, err error) {
	program, attach, err := taskFileProgram()
	if err != nil {
		return -1, err
	}
	return loadProgram(program, attach)
})

// expectSocketHolders loads the program ahead of its use, if it will be used.
func expectSocketHolders() {
	if names, err := readDir("/proc"); err == nil && len(pidsOf(names)) >= manyProcesses && iteratorFits() == nil {
		loadTaskFiles()
	}
}

// iteratorFits: the iterator gives numbers of the pid namespace that we run in,
// so /proc has to be of that one. NSpid has one number for each namespace from
// /proc's down to the process's own (proc_pid_status(5)).
func iteratorFits() error {
	if os.Geteuid() != 0 || unsafe.Sizeof(uintptr(0)) != 8 || binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return errNoIterator
	}
	status, err := readFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(status, []byte("\nNSpid:"))
	line, _, _ := bytes.Cut(rest, []byte{'\n'})
	if string(bytes.TrimSpace(line)) != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("%w: /proc is of another pid namespace", errNoIterator)
	}
	return nil
}

// A socketRecord is what the program writes for every socket.
//
//	pid, descriptor uint32
//	inode uint64
const socketRecord = 16

// holderLines prints the records; the kernel gives them by pid and descriptor.
func holderLines(records []byte) []byte {
	text := make([]byte, 0, len(records)*3/2)
	for ; len(records) >= socketRecord; records = records[socketRecord:] {
		text = strconv.AppendUint(text, uint64(binary.NativeEndian.Uint32(records)), 10)
		text = append(text, ' ')
		text = strconv.AppendUint(text, uint64(binary.NativeEndian.Uint32(records[4:])), 10)
		text = append(text, ' ')
		text = strconv.AppendUint(text, binary.NativeEndian.Uint64(records[8:]), 10)
		text = append(text, '\n')
	}
	return text
}

// readIterator reads to the end: the kernel gives up to 32 KiB at a time.
func readIterator(fd int) ([]byte, error) {
	records := make([]byte, 0, 64<<10)
	for {
		if cap(records)-len(records) < 32<<10 {
			records = append(make([]byte, 0, 2*cap(records)), records...)
		}
		n, err := unix.Read(fd, records[len(records):cap(records)])
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("iter/task_file: %w", err)
		}
		if n == 0 {
			return records, nil
		}
		if records = records[:len(records)+n]; len(records) > maxReply {
			return nil, fmt.Errorf("iter/task_file: over %d MiB: %w", maxReply>>20, ErrTooLarge)
		}
	}
}

// taskFileProgram builds the program for the running kernel, and says which
// kernel function it hooks into.
func taskFileProgram() (program []byte, attach uint32, err error) {
	btf, release, err := kernelTypes()
	if err != nil {
		return nil, 0, err
	}
	defer release()
	var (
		task  = kernelType{name: "task_struct", kind: btfStruct, members: map[string]int16{"pid": unknownOffset, "tgid": unknownOffset, "thread_pid": unknownOffset}}
		file  = kernelType{name: "file", kind: btfStruct, members: map[string]int16{"f_inode": unknownOffset}}
		inode = kernelType{name: "inode", kind: btfStruct, members: map[string]int16{"i_ino": unknownOffset}}
		pid   = kernelType{name: "pid", kind: btfStruct, members: map[string]int16{"level": unknownOffset, "numbers": unknownOffset}}
		hook  = kernelType{name: "bpf_iter_task_file", kind: btfFunc}
	)
	if err := findTypes(btf, []*kernelType{&task, &file, &inode, &pid, &hook}); err != nil {
		return nil, 0, err
	}
	return pickSockets(task.members, file.members, inode.members, pid.members), hook.id, nil
}

// kernelTypes maps /sys/kernel/btf/vmlinux into memory (Linux 6.16), or reads it.
func kernelTypes() (btf []byte, release func(), err error) {
	const name = "/sys/kernel/btf/vmlinux"
	fd, err := openRead(name, 0)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	var about unix.Stat_t
	if err := unix.Fstat(fd, &about); err == nil && about.Size > 0 && about.Size <= maxFile {
		if btf, err = unix.Mmap(fd, 0, int(about.Size), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_POPULATE); err == nil {
			return btf, func() { unix.Munmap(btf) }, nil
		}
	}
	btf, err = readFile(name)
	return btf, func() {}, err
}

// Fields of struct bpf_iter__task_file, and of the struct bpf_iter_meta that it
// begins with: interfaces of the kernel's, each field aligned to 8 bytes.
const (
	contextMeta = 0
	contextTask = 8
	contextFD   = 16
	contextFile = 24
	metaSeq     = 0
)

// Helpers that the program calls (enum bpf_func_id, include/uapi/linux/bpf.h).
const (
	helperReadKernel   = 113 // bpf_probe_read_kernel
	helperSeqWrite     = 127 // bpf_seq_write
	helperCurrentTask  = 158 // bpf_get_current_task_btf, Linux 5.11
	helperSockFromFile = 162 // bpf_sock_from_file, Linux 5.11
)

// upidLength is the size of struct upid (include/linux/pid.h): the number, 4
// bytes of padding, a pointer.
const upidLength = 16

// pickSockets is the program: for every descriptor of a process (its threads
// have the same) that is a socket, a record. The number of the process is the
// one in the reader's pid namespace.
func pickSockets(task, file, inode, pid map[string]int16) []byte {
	const record, pointer = -socketRecord, -socketRecord - 8 // on the stack
	var p bpfProgram
	p.move(r6, r1)
	p.load(r7, r6, contextTask)
	p.endIfZero(r7)
	p.load(r8, r6, contextFile)
	p.endIfZero(r8) // called once more at the end, without a file
	p.loadWord(r1, r7, task["pid"])
	p.loadWord(r2, r7, task["tgid"])
	p.endIfDifferent(r1, r2)
	p.move(r1, r8)
	p.call(helperSockFromFile)
	p.endIfZero(r0)
	p.loadWord(r1, r6, contextFD)
	p.storeWord(r10, record+4, r1)
	p.load(r9, r8, file["f_inode"])
	p.load(r9, r9, inode["i_ino"])
	p.store(r10, record+8, r9)
	// numbers[level of the reader's namespace] of the process's struct pid
	p.call(helperCurrentTask)
	p.load(r1, r0, task["thread_pid"])
	p.loadWord(r9, r1, pid["level"])
	p.multiply(r9, upidLength)
	p.address(r1, r10, pointer)
	p.set(r2, 8)
	p.address(r3, r7, task["thread_pid"])
	p.call(helperReadKernel)
	p.address(r1, r10, record)
	p.set(r2, 4)
	p.load(r3, r10, pointer)
	p.add(r3, r9)
	p.address(r3, r3, pid["numbers"])
	p.call(helperReadKernel)
	p.load(r1, r6, contextMeta)
	p.load(r1, r1, metaSeq)
	p.address(r2, r10, record)
	p.set(r3, socketRecord)
	p.call(helperSeqWrite)
	return p.end()
}

// loadProgram gives a descriptor of the program: with the last one closed, it is
// gone from the kernel.
func loadProgram(program []byte, attach uint32) (fd int, err error) {
	name := []byte(license)
	load := struct {
		programType, count       uint32
		instructions, license    uint64
		logLevel, logSize        uint32
		log                      uint64
		version, flags           uint32
		name                     [16]byte
		device, attachType       uint32
		btf, functionSize        uint32
		functions                uint64
		functionCount, lineSize  uint32
		lines                    uint64
		lineCount, attachBTF     uint32
		attachProgram, coreCount uint32
	}{
		programType: unix.BPF_PROG_TYPE_TRACING, attachType: unix.BPF_TRACE_ITER, attachBTF: attach,
		instructions: uint64(uintptr(unsafe.Pointer(&program[0]))), count: uint32(len(program) / bpfInstruction),
		license: uint64(uintptr(unsafe.Pointer(&name[0]))),
		name:    [16]byte{'n', 'e', 't', 'g', 'l', 'a', 'n', 'c', 'e'},
	}
	fd, err = bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&load), unsafe.Sizeof(load))
	runtime.KeepAlive(program)
	runtime.KeepAlive(name)
	return fd, err
}

// startIterator gives a descriptor that the program's output is read from.
func startIterator(loaded int) (fd int, err error) {
	create := struct{ program, target, attachType, flags uint32 }{program: uint32(loaded), attachType: unix.BPF_TRACE_ITER}
	link, err := bpf(unix.BPF_LINK_CREATE, unsafe.Pointer(&create), unsafe.Sizeof(create))
	if err != nil {
		return -1, err
	}
	defer unix.Close(link)
	start := struct{ link, flags uint32 }{link: uint32(link)}
	return bpf(unix.BPF_ITER_CREATE, unsafe.Pointer(&start), unsafe.Sizeof(start))
}

// bpf is bpf(2), which gives a descriptor that is closed on exec.
func bpf(command int, attributes unsafe.Pointer, size uintptr) (fd int, err error) {
	n, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attributes), size)
	if errno != 0 {
		return -1, fmt.Errorf("%w: bpf(%d): %w", errNoIterator, command, errno)
	}
	return int(n), nil
}
