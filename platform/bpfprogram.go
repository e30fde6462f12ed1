package platform

import "encoding/binary"

// Registers of BPF: r0 has results, r1 to r5 arguments, which calls destroy;
// r6 to r9 keep, r10 is the end of the stack.
const (
	r0 = iota
	r1
	r2
	r3
	_
	_
	r6
	r7
	r8
	r9
	r10
)

// bpfInstruction is the size of one (struct bpf_insn): opcode, two registers,
// 16 bits of offset, 32 bits of constant.
const bpfInstruction = 8

// A bpfProgram is put together instruction by instruction
// (Documentation/bpf/standardization/instruction-set.rst). Little endian only.
type bpfProgram struct {
	code []byte
	// ends are the jumps to the end of the program.
	ends []int
}

func (p *bpfProgram) emit(opcode, destination, source uint8, offset int16, constant int32) {
	p.code = append(p.code, opcode, destination|source<<4)
	p.code = binary.LittleEndian.AppendUint16(p.code, uint16(offset))
	p.code = binary.LittleEndian.AppendUint32(p.code, uint32(constant))
}

func (p *bpfProgram) move(to, from uint8)                       { p.emit(0xbf, to, from, 0, 0) }
func (p *bpfProgram) set(to uint8, constant int32)              { p.emit(0xb7, to, 0, 0, constant) }
func (p *bpfProgram) add(to, from uint8)                        { p.emit(0x0f, to, from, 0, 0) }
func (p *bpfProgram) multiply(to uint8, constant int32)         { p.emit(0x27, to, 0, 0, constant) }
func (p *bpfProgram) load(to, from uint8, offset int16)         { p.emit(0x79, to, from, offset, 0) }
func (p *bpfProgram) loadWord(to, from uint8, offset int16)     { p.emit(0x61, to, from, offset, 0) }
func (p *bpfProgram) store(to uint8, offset int16, from uint8)  { p.emit(0x7b, to, from, offset, 0) }
func (p *bpfProgram) storeWord(to uint8, off int16, from uint8) { p.emit(0x63, to, from, off, 0) }
func (p *bpfProgram) call(helper int32)                         { p.emit(0x85, 0, 0, 0, helper) }

// address computes from + offset.
func (p *bpfProgram) address(to, from uint8, offset int16) {
	if to != from {
		p.move(to, from)
	}
	p.emit(0x07, to, 0, 0, int32(offset))
}

func (p *bpfProgram) endIfZero(register uint8) {
	p.ends = append(p.ends, len(p.code))
	p.emit(0x15, register, 0, 0, 0)
}

func (p *bpfProgram) endIfDifferent(a, b uint8) {
	p.ends = append(p.ends, len(p.code))
	p.emit(0x5d, a, b, 0, 0)
}

// end returns 0 from the program, and has the jumps lead there.
func (p *bpfProgram) end() []byte {
	for _, at := range p.ends {
		distance := (len(p.code) - at) / bpfInstruction
		binary.LittleEndian.PutUint16(p.code[at+2:], uint16(distance-1))
	}
	p.set(r0, 0)
	p.emit(0x95, 0, 0, 0, 0)
	return p.code
}
