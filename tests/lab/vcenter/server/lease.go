// Copyright (c) 2026 the cloudexit.flexible_engine contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

// The simulator's own leases hash an uploaded disk and drop it, never time out, and there is no ExportVm. The leases
// here keep the bytes as raw disks, serve them, and behave as a vCenter's do: bound to their session, initialising
// before they are ready, locking the machine while they last, and an import that is aborted or times out takes its
// machine with it.

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// deskRef is a managed object of the lab's own that answers ImportVApp and ExportVm in place of pools and machines.
var deskRef = types.ManagedObjectReference{Type: "HostPatchManager", Value: "lab-lease-desk"}

type desk struct {
	mo.HostPatchManager
	lab *lab
}

func (*desk) Lock()   {}
func (*desk) Unlock() {}

type transfer struct {
	device   int32
	capacity int64
	busy     bool
	done     bool
	sha1     string
	size     int64
}

type lease struct {
	mo.HttpNfcLease
	lab      *lab
	export   bool
	owner    types.UserSession
	registry *simulator.Session
	vm       types.ManagedObjectReference

	mu      sync.Mutex
	files   map[string]*transfer
	touched time.Time
	ready   bool
	ended   chan struct{}
	over    bool
	final   types.HttpNfcLeaseState
}

// context makes a fresh one: the simulator uses its identity for locking.
func (l *lab) context(session *simulator.Session) *simulator.Context {
	if session == nil {
		session = l.service.Context.Session
	}
	return &simulator.Context{Context: context.Background(), Map: l.registry, Session: session}
}

// route is the registry's handler: it redirects the two methods and refuses what a lease forbids.
func (l *lab) route(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Map != l.registry || ctx.Session == nil {
		return nil, nil
	}
	switch method.Name {
	case "ImportVApp", "ExportVm":
		method.This = deskRef
	case "HttpNfcLeaseAbort":
		if _, ok := ctx.Session.Get(method.This).(*lease); ok {
			method.This = deskRef
		}
	case "PowerOnVM_Task", "Destroy_Task", "UnregisterVM", "ReconfigVM_Task", "Rename_Task", "CloneVM_Task",
		"RelocateVM_Task", "CreateSnapshot_Task", "MarkAsTemplate":
		if l.leased(method.This) {
			return nil, &types.TaskInProgress{Task: types.ManagedObjectReference{Type: "Task", Value: "task-nfc-lease"}}
		}
	}
	if method.Name == "ShutdownGuest" || method.Name == "RebootGuest" {
		vm, ok := l.registry.Get(method.This).(*simulator.VirtualMachine)
		if ok && vm.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
			return nil, &types.ToolsUnavailable{}
		}
	}
	// The simulator escapes names by itself, and does it twice when the client has, as the API wants it.
	switch body := method.Body.(type) {
	case *types.ImportVApp:
		if spec, ok := body.Spec.(*types.VirtualMachineImportSpec); ok {
			spec.ConfigSpec.Name = unescape(spec.ConfigSpec.Name)
		}
	case *types.CreateFolder:
		body.Name = unescape(body.Name)
	case *types.Rename_Task:
		body.NewName = unescape(body.NewName)
	}
	return nil, nil
}

var escape = strings.NewReplacer("%", "%25", "/", "%2f", "\\", "%5c")
var plain = strings.NewReplacer("%", "_", "/", "_", "\\", "_")
var escapes = strings.NewReplacer("%25", "%", "%2f", "/", "%2F", "/", "%5c", "\\", "%5C", "\\")

func unescape(name string) string { return escapes.Replace(name) }

func (l *lab) leased(vm types.ManagedObjectReference) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.leases {
		if one.vm == vm {
			return true
		}
	}
	return false
}

func (l *lab) newLease(ctx *simulator.Context, export bool) *lease {
	one := &lease{
		HttpNfcLease: mo.HttpNfcLease{State: types.HttpNfcLeaseStateInitializing},
		lab:          l, export: export, owner: ctx.Session.UserSession, registry: ctx.Session,
		files: map[string]*transfer{}, touched: time.Now(), ended: make(chan struct{}),
	}
	one.Self.Type = "HttpNfcLease"
	ctx.Session.Put(one)
	l.mu.Lock()
	l.leases[leaseID(one.Self.Value)] = one
	l.mu.Unlock()
	return one
}

// leaseID is the part of a lease's reference that can stand in a URL.
func leaseID(value string) string { return value[strings.LastIndexByte(value, ']')+1:] }

func (d *desk) ImportVApp(ctx *simulator.Context, req *types.ImportVApp) soap.HasFault {
	body := new(methods.ImportVAppBody)
	spec, ok := req.Spec.(*types.VirtualMachineImportSpec)
	if !ok {
		body.Fault_ = simulator.Fault("only a VirtualMachineImportSpec", &types.InvalidArgument{InvalidProperty: "spec"})
		return body
	}
	pool, ok := d.lab.registry.Get(req.This).(mo.Entity)
	if !ok {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.This})
		return body
	}
	dc := d.lab.datacenter(pool)
	where := dc.VmFolder
	if req.Folder != nil {
		where = *req.Folder
	}
	folder, ok := d.lab.registry.Get(where).(*simulator.Folder)
	if !ok {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: where})
		return body
	}
	one := d.lab.newLease(ctx, false)
	go func() {
		time.Sleep(100 * time.Millisecond)
		if f, text := d.lab.checkSpec(dc, folder, &spec.ConfigSpec); f != nil {
			one.fail(f, text)
			return
		}
		c := d.lab.context(one.registry)
		// The simulator spoils the devices of a machine whose name needs escapes, so it gets its name afterwards.
		name := spec.ConfigSpec.Name
		spec.ConfigSpec.Name = plain.Replace(name)
		res := folder.CreateVMTask(c, &types.CreateVM_Task{
			This: folder.Self, Config: spec.ConfigSpec, Pool: req.This, Host: req.Host,
		})
		task := d.lab.registry.Get(res.(*methods.CreateVM_TaskBody).Res.Returnval).(*simulator.Task)
		task.Wait()
		if task.Info.Error != nil {
			one.fail(task.Info.Error.Fault, task.Info.Error.LocalizedMessage)
			return
		}
		ref := task.Info.Result.(types.ManagedObjectReference)
		if spec.ConfigSpec.Name != name {
			if vm, ok := d.lab.registry.Get(ref).(*simulator.VirtualMachine); ok {
				escaped := escape.Replace(name)
				c.WithLock(vm, func() {
					c.Update(vm, []types.PropertyChange{{Name: "name", Val: escaped}, {Name: "config.name", Val: escaped},
						{Name: "summary.config.name", Val: escaped}})
				})
			}
		}
		one.mu.Lock()
		one.vm = ref
		over := one.over
		one.mu.Unlock()
		if over { // aborted while it was initialising
			d.lab.destroy(ref)
			return
		}
		one.open()
	}()
	body.Res = &types.ImportVAppResponse{Returnval: one.Self}
	return body
}

func (d *desk) ExportVm(ctx *simulator.Context, req *types.ExportVm) soap.HasFault {
	body := new(methods.ExportVmBody)
	vm, ok := d.lab.registry.Get(req.This).(*simulator.VirtualMachine)
	if !ok {
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.This})
		return body
	}
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		body.Fault_ = simulator.Fault("", &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: vm.Runtime.PowerState})
		return body
	}
	if d.lab.leased(vm.Self) {
		body.Fault_ = simulator.Fault("", &types.TaskInProgress{Task: types.ManagedObjectReference{Type: "Task", Value: "task-nfc-lease"}})
		return body
	}
	one := d.lab.newLease(ctx, true)
	one.vm = vm.Self
	go func() {
		time.Sleep(50 * time.Millisecond)
		one.open()
	}()
	body.Res = &types.ExportVmResponse{Returnval: one.Self}
	return body
}

// checkSpec is what the simulator would not notice, or would fall over.
func (l *lab) checkSpec(dc *simulator.Datacenter, folder *simulator.Folder, spec *types.VirtualMachineConfigSpec) (types.BaseMethodFault, string) {
	for _, child := range folder.ChildEntity {
		if e, ok := l.registry.Get(child).(mo.Entity); ok && unescape(e.Entity().Name) == spec.Name {
			return &types.DuplicateName{Name: spec.Name, Object: child}, fmt.Sprintf("The name '%s' already exists.", spec.Name)
		}
	}
	if spec.GuestId != "" {
		known := false
		for _, id := range simulator.GuestID {
			known = known || string(id) == spec.GuestId
		}
		if !known {
			return &types.InvalidArgument{InvalidProperty: "configSpec.guestId"}, "A specified parameter was not correct: configSpec.guestId"
		}
	}
	for i, change := range spec.DeviceChange {
		card, ok := change.GetVirtualDeviceConfigSpec().Device.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		switch backing := card.GetVirtualEthernetCard().Backing.(type) {
		case *types.VirtualEthernetCardNetworkBackingInfo:
			if l.registry.FindByName(backing.DeviceName, dc.Network) == nil {
				return &types.InvalidDeviceBacking{InvalidDeviceSpec: types.InvalidDeviceSpec{DeviceIndex: int32(i)}},
					fmt.Sprintf("Invalid backing for device %d: no network '%s'", i, backing.DeviceName)
			}
		case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		default:
			return &types.InvalidDeviceBacking{InvalidDeviceSpec: types.InvalidDeviceSpec{DeviceIndex: int32(i)}},
				fmt.Sprintf("Invalid backing for device %d", i)
		}
	}
	return nil, ""
}

// controllers maps a device's controller to the name that lease keys use.
func deviceAddress(devices object.VirtualDeviceList, disk *types.VirtualDisk) string {
	controller := devices.FindByKey(disk.ControllerKey)
	unit := int32(0)
	if disk.UnitNumber != nil {
		unit = *disk.UnitNumber
	}
	if controller == nil {
		return fmt.Sprintf("disk:%d", unit)
	}
	bus := int32(0)
	if c, ok := controller.(types.BaseVirtualController); ok {
		bus = c.GetVirtualController().BusNumber
	}
	return fmt.Sprintf("%s%d:%d", reflect.TypeOf(controller).Elem().Name(), bus, unit)
}

func (one *lease) open() {
	vm, ok := one.lab.registry.Get(one.vm).(*simulator.VirtualMachine)
	if !ok {
		one.fail(&types.ManagedObjectNotFound{Obj: one.vm}, "the machine is gone")
		return
	}
	fault := one.lab.faults.lease("initializing")
	if fault != "" {
		one.fail(&types.SystemError{Reason: fault}, fault)
		return
	}
	devices := object.VirtualDeviceList(vm.Config.Hardware.Device)
	var urls []types.HttpNfcLeaseDeviceUrl
	total := int64(0)
	for _, device := range devices {
		disk, ok := device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		name := fmt.Sprintf("disk-%d.vmdk", len(one.files))
		one.files[name] = &transfer{device: disk.Key, capacity: disk.CapacityInBytes}
		total += disk.CapacityInBytes
		address := deviceAddress(devices, disk)
		url := types.HttpNfcLeaseDeviceUrl{
			Key:           fmt.Sprintf("/%s/%s", vm.Self.Value, address),
			Url:           one.lab.base() + "/nfc/" + leaseID(one.Self.Value) + "/" + name,
			SslThumbprint: one.lab.thumbprint(),
			Disk:          types.NewBool(true),
			TargetId:      name,
		}
		if !one.export {
			url.ImportKey = fmt.Sprintf("/%s/%s", vm.Name, address)
		}
		urls = append(urls, url)
	}
	if one.export { // as a vCenter lists it: a file that is no disk
		urls = append(urls, types.HttpNfcLeaseDeviceUrl{
			Key: fmt.Sprintf("/%s/nvram", vm.Self.Value), Url: one.lab.base() + "/nfc/" + leaseID(one.Self.Value) + "/vm.nvram",
			SslThumbprint: one.lab.thumbprint(), Disk: types.NewBool(false), TargetId: "vm.nvram", FileSize: 8684,
		})
	}
	info := &types.HttpNfcLeaseInfo{
		Lease: one.Self, Entity: one.vm, DeviceUrl: urls, TotalDiskCapacityInKB: total / 1024,
		LeaseTimeout: int32(one.lab.leaseTimeout / time.Second),
	}
	one.mu.Lock()
	if one.over {
		one.mu.Unlock()
		return
	}
	one.ready, one.touched = true, time.Now()
	one.mu.Unlock()
	one.update([]types.PropertyChange{
		{Name: "initializeProgress", Val: int32(100)}, {Name: "info", Val: info}, {Name: "state", Val: types.HttpNfcLeaseStateReady},
	})
}

func (one *lease) update(changes []types.PropertyChange) {
	c := one.lab.context(one.registry)
	c.WithLock(one, func() { c.Update(one, changes) })
}

// begin makes the lease refuse whatever comes; false when its end had begun already.
func (one *lease) begin() bool {
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.over {
		return false
	}
	one.over = true
	return true
}

// finish lets go of the machine and of transfers that still run: the client learns last.
func (one *lease) finish() {
	if !one.export && one.state() != types.HttpNfcLeaseStateDone && one.vm.Value != "" {
		one.lab.destroy(one.vm)
	}
	one.lab.mu.Lock()
	delete(one.lab.leases, leaseID(one.Self.Value))
	one.lab.mu.Unlock()
	close(one.ended)
}

func (one *lease) state() types.HttpNfcLeaseState {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.final
}

// fail ends the lease in state error; an import's machine goes with it.
func (one *lease) fail(fault types.BaseMethodFault, text string) {
	if !one.begin() {
		return
	}
	log.Printf("lease %s of %s failed: %s", leaseID(one.Self.Value), one.vm.Value, text)
	one.update([]types.PropertyChange{
		{Name: "error", Val: &types.LocalizedMethodFault{Fault: fault, LocalizedMessage: text}},
		{Name: "state", Val: types.HttpNfcLeaseStateError},
	})
	one.finish()
}

func (one *lease) HttpNfcLeaseComplete(ctx *simulator.Context, req *types.HttpNfcLeaseComplete) soap.HasFault {
	body := new(methods.HttpNfcLeaseCompleteBody)
	one.mu.Lock()
	good := one.ready && !one.over
	for _, file := range one.files {
		good = good && !file.busy
	}
	one.mu.Unlock()
	if !good || !one.begin() {
		body.Fault_ = simulator.Fault("the lease is not ready, or a transfer is not over", &types.InvalidState{})
		return body
	}
	one.mu.Lock()
	one.final = types.HttpNfcLeaseStateDone
	one.mu.Unlock()
	ctx.Update(one, []types.PropertyChange{{Name: "state", Val: types.HttpNfcLeaseStateDone}})
	one.finish()
	one.retire(ctx)
	body.Res = new(types.HttpNfcLeaseCompleteResponse)
	return body
}

// HttpNfcLeaseAbort is the desk's, which is not locked: it waits for an end that has begun, so that what it says is so.
func (d *desk) HttpNfcLeaseAbort(ctx *simulator.Context, req *types.HttpNfcLeaseAbort) soap.HasFault {
	one, ok := ctx.Session.Get(req.This).(*lease)
	if !ok {
		return &methods.HttpNfcLeaseAbortBody{Fault_: simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.This})}
	}
	if one.begin() {
		one.finish()
	} else {
		select {
		case <-one.ended:
		case <-time.After(5 * time.Second):
		}
	}
	one.retire(ctx)
	return &methods.HttpNfcLeaseAbortBody{Res: new(types.HttpNfcLeaseAbortResponse)}
}

// retire lets the reference live for a moment, as a vCenter's does, so that its last state can be read.
func (one *lease) retire(ctx *simulator.Context) {
	session, self := ctx.Session, one.Self
	time.AfterFunc(time.Second, func() { session.Remove(one.lab.context(session), self) })
}

func (one *lease) HttpNfcLeaseProgress(ctx *simulator.Context, req *types.HttpNfcLeaseProgress) soap.HasFault {
	body := new(methods.HttpNfcLeaseProgressBody)
	if fault := one.lab.faults.lease("ready"); fault != "" {
		go one.fail(&types.SystemError{Reason: fault}, fault)
	}
	one.mu.Lock()
	over := one.over || !one.ready
	one.touched = time.Now()
	one.mu.Unlock()
	if over {
		body.Fault_ = simulator.Fault("the lease is not ready", &types.InvalidState{})
		return body
	}
	ctx.Update(one, []types.PropertyChange{{Name: "transferProgress", Val: req.Percent}})
	body.Res = new(types.HttpNfcLeaseProgressResponse)
	return body
}

func (one *lease) HttpNfcLeaseGetManifest(ctx *simulator.Context, req *types.HttpNfcLeaseGetManifest) soap.HasFault {
	var entries []types.HttpNfcLeaseManifestEntry
	one.mu.Lock()
	for _, url := range one.Info.DeviceUrl {
		if file := one.files[url.TargetId]; file != nil && file.done {
			entries = append(entries, types.HttpNfcLeaseManifestEntry{
				Key: url.Key, Sha1: file.sha1, Size: file.size, Disk: true, Capacity: file.capacity})
		}
	}
	one.mu.Unlock()
	return &methods.HttpNfcLeaseGetManifestBody{Res: &types.HttpNfcLeaseGetManifestResponse{Returnval: entries}}
}

// watch ends leases whose client is silent or whose session is gone.
func (l *lab) watch() {
	for range time.Tick(500 * time.Millisecond) {
		l.mu.Lock()
		all := make([]*lease, 0, len(l.leases))
		for _, one := range l.leases {
			all = append(all, one)
		}
		l.mu.Unlock()
		for _, one := range all {
			one.mu.Lock()
			silent := one.ready && time.Since(one.touched) > l.leaseTimeout
			one.mu.Unlock()
			if silent {
				one.fail(&types.Timedout{}, "Lease timed out: no progress was reported in time")
				continue
			}
			res := l.registry.SessionManager().SessionIsActive(l.context(nil), &types.SessionIsActive{
				SessionID: one.owner.Key, UserName: one.owner.UserName})
			if body := res.(*methods.SessionIsActiveBody); body.Res == nil || !body.Res.Returnval {
				one.fail(&types.NotAuthenticated{}, "The session of the lease is gone")
			}
		}
	}
}

func (l *lab) destroy(ref types.ManagedObjectReference) {
	vm, ok := l.registry.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	c := l.context(nil)
	res := vm.DestroyTask(c, &types.Destroy_Task{This: ref})
	task := l.registry.Get(res.(*methods.Destroy_TaskBody).Res.Returnval).(*simulator.Task)
	task.Wait()
	if task.Info.Error != nil {
		log.Printf("destroy %s: %s", ref.Value, task.Info.Error.LocalizedMessage)
	}
}

func (l *lab) diskPath(vm types.ManagedObjectReference, device int32) string {
	return filepath.Join(l.disks, vm.Value, fmt.Sprintf("disk-%d.raw", device))
}

// ensureDisk makes an empty disk where none was uploaded.
func (l *lab) ensureDisk(vm types.ManagedObjectReference, device int32, capacity int64) (string, error) {
	path := l.diskPath(vm, device)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return path, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return path, err
	}
	defer f.Close()
	return path, f.Truncate(capacity)
}

var errGone = errors.New("the lease is over")

// serveNFC takes and gives disks; the URL is the token, as on a host.
func (l *lab) serveNFC(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/nfc/"), "/")
	l.mu.Lock()
	one := l.leases[parts[0]]
	l.mu.Unlock()
	if one == nil || len(parts) != 2 {
		http.Error(w, "no such lease", http.StatusNotFound)
		return
	}
	one.mu.Lock()
	file := one.files[parts[1]]
	busy := file != nil && file.busy
	if file != nil && !busy && one.ready && !one.over {
		file.busy = true
	}
	good := one.ready && !one.over
	one.mu.Unlock()
	switch {
	case parts[1] == "vm.nvram" && one.export:
		_, _ = w.Write(make([]byte, 8684))
		return
	case file == nil || !good:
		http.Error(w, "no such file in this lease", http.StatusNotFound)
		return
	case busy:
		http.Error(w, "another transfer of this file is going on", http.StatusConflict)
		return
	}
	defer func() {
		one.mu.Lock()
		file.busy = false
		one.mu.Unlock()
	}()
	switch {
	case (r.Method == http.MethodPut || r.Method == http.MethodPost) && !one.export:
		l.receive(w, r, one, file)
	case r.Method == http.MethodGet && one.export:
		l.send(w, r, one, file)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (l *lab) receive(w http.ResponseWriter, r *http.Request, one *lease, file *transfer) {
	faults := l.faults.get()
	if faults.RefuseChunked && r.ContentLength < 0 {
		w.Header().Set("Connection", "close")
		http.Error(w, "Length Required", http.StatusLengthRequired)
		return
	}
	path := l.diskPath(one.vm, file.device)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	part := path + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer os.Remove(part)
	defer out.Close()
	sum := sha1.New()
	body := &guarded{in: r.Body, lease: one, cut: l.faults.cut("upload"), rate: faults.RateMiB}
	err = decode(io.TeeReader(body, sum), out, file.capacity)
	var bad *invalidDisk
	switch {
	case body.err != nil: // cut on purpose, a broken client, or a lease that ended
		log.Printf("upload to %s broke off after %d bytes: %v", one.vm.Value, body.count, body.err)
		panic(http.ErrAbortHandler)
	case errors.As(err, &bad):
		log.Printf("upload to %s refused: %v", one.vm.Value, err)
		text := "The disk is not a valid stream-optimised VMDK: " + bad.reason
		go one.fail(&types.InvalidDiskFormat{}, text)
		w.Header().Set("Connection", "close")
		http.Error(w, text, http.StatusBadRequest)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if offset, yes := l.faults.corrupt(); yes {
		one := make([]byte, 1)
		_, _ = out.ReadAt(one, offset)
		one[0] ^= 0x01
		_, _ = out.WriteAt(one, offset)
	}
	if err = os.Rename(part, path); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	one.mu.Lock()
	file.done, file.sha1, file.size = true, hex.EncodeToString(sum.Sum(nil)), body.count
	over := one.over
	one.mu.Unlock()
	if over {
		_ = os.Remove(path)
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusCreated)
}

func (l *lab) send(w http.ResponseWriter, r *http.Request, one *lease, file *transfer) {
	path, err := l.ensureDisk(one.vm, file.device, file.capacity)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	raw, err := os.Open(path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer raw.Close()
	w.Header().Set("Content-Type", "application/x-vnd.vmware-streamVmdk")
	if err = encode(raw, &guardedWriter{out: w, lease: one, cut: l.faults.cut("download"), rate: l.faults.get().RateMiB}); err != nil {
		log.Printf("download of %s broke off: %v", one.vm.Value, err)
		panic(http.ErrAbortHandler)
	}
}

// guarded reads a body and breaks off when the lease ends or a fault is planted; it can be slow on purpose.
type guarded struct {
	in    io.Reader
	lease *lease
	cut   int64
	rate  float64
	count int64
	err   error
	begun time.Time
}

func (g *guarded) Read(p []byte) (int, error) {
	if err := pace(g.lease, g.rate, g.count, &g.begun); err != nil {
		g.err = err
		return 0, err
	}
	if g.rate > 0 && len(p) > 65536 {
		p = p[:65536]
	}
	n, err := g.in.Read(p)
	g.count += int64(n)
	if g.cut >= 0 && g.count >= g.cut {
		err = errors.New("cut on purpose")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		g.err = err
	}
	return n, err
}

type guardedWriter struct {
	out   io.Writer
	lease *lease
	cut   int64
	rate  float64
	count int64
	begun time.Time
}

func (g *guardedWriter) Write(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		if err := pace(g.lease, g.rate, g.count, &g.begun); err != nil {
			return total, err
		}
		piece := p
		if g.rate > 0 {
			piece = p[:min(len(p), 65536)]
		}
		if g.cut >= 0 {
			piece = piece[:min(int64(len(piece)), g.cut-g.count)]
		}
		n, err := g.out.Write(piece)
		g.count += int64(n)
		total += n
		if err == nil && g.cut >= 0 && g.count >= g.cut {
			if f, ok := g.out.(http.Flusher); ok {
				f.Flush()
			}
			err = errors.New("cut on purpose")
		}
		if err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}

func pace(one *lease, rate float64, count int64, begun *time.Time) error {
	select {
	case <-one.ended:
		return errGone
	default:
	}
	if begun.IsZero() {
		*begun = time.Now()
	}
	if rate > 0 {
		due := time.Duration(float64(count) / (rate * (1 << 20)) * float64(time.Second))
		if wait := due - time.Since(*begun); wait > 0 {
			select {
			case <-one.ended:
				return errGone
			case <-time.After(wait):
			}
		}
	}
	return nil
}
