// Copyright (c) 2026 the cloudexit.flexible_engine contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

// What only the lab uses, on a port of its own: the hypervisor reads machines and reports their guests, tests plant
// faults. None of it shows in the log of calls.

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

type diskView struct {
	Key        int32  `json:"key"`
	Label      string `json:"label"`
	Controller string `json:"controller"`
	Bus        int32  `json:"bus"`
	Unit       int32  `json:"unit"`
	Capacity   int64  `json:"capacity"`
	Path       string `json:"path"`
}

type nicView struct {
	Key            int32  `json:"key"`
	Type           string `json:"type"`
	Mac            string `json:"mac"`
	Network        string `json:"network"`
	StartConnected bool   `json:"start_connected"`
	Connected      bool   `json:"connected"`
}

type vmView struct {
	Moref        string            `json:"moref"`
	Name         string            `json:"name"`
	InstanceUUID string            `json:"instance_uuid"`
	UUID         string            `json:"uuid"`
	Power        string            `json:"power"`
	Firmware     string            `json:"firmware"`
	CPUs         int32             `json:"cpus"`
	MemoryMiB    int32             `json:"memory_mib"`
	GuestID      string            `json:"guest_id"`
	Leased       bool              `json:"leased"`
	Disks        []diskView        `json:"disks"`
	Nics         []nicView         `json:"nics"`
	ExtraConfig  map[string]string `json:"extra_config"`
}

var controllerNames = []struct{ part, name string }{
	{"ParaVirtual", "pvscsi"}, {"LsiLogicSAS", "lsisas"}, {"LsiLogic", "lsilogic"}, {"BusLogic", "buslogic"},
	{"AHCI", "sata"}, {"SATA", "sata"}, {"NVME", "nvme"}, {"IDE", "ide"},
}

func (l *lab) networkName(backing types.BaseVirtualDeviceBackingInfo) string {
	switch b := backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		return b.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		ref := types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: b.Port.PortgroupKey}
		if group, ok := l.registry.Get(ref).(*simulator.DistributedVirtualPortgroup); ok {
			return group.Name
		}
	}
	return ""
}

func (l *lab) view(vm *simulator.VirtualMachine) vmView {
	v := vmView{
		Moref: vm.Self.Value, Name: vm.Name, InstanceUUID: vm.Config.InstanceUuid, UUID: vm.Config.Uuid,
		Power: string(vm.Runtime.PowerState), Firmware: vm.Config.Firmware, CPUs: vm.Config.Hardware.NumCPU,
		MemoryMiB: vm.Config.Hardware.MemoryMB, GuestID: vm.Config.GuestId, Leased: l.leased(vm.Self),
		Disks: []diskView{}, Nics: []nicView{}, ExtraConfig: map[string]string{},
	}
	devices := object.VirtualDeviceList(vm.Config.Hardware.Device)
	for _, device := range devices {
		switch d := device.(type) {
		case *types.VirtualDisk:
			address := deviceAddress(devices, d)
			disk := diskView{Key: d.Key, Capacity: d.CapacityInBytes, Path: l.diskPath(vm.Self, d.Key)}
			if d.UnitNumber != nil {
				disk.Unit = *d.UnitNumber
			}
			if c, ok := devices.FindByKey(d.ControllerKey).(types.BaseVirtualController); ok {
				disk.Bus = c.GetVirtualController().BusNumber
			}
			if info := d.DeviceInfo; info != nil {
				disk.Label = info.GetDescription().Label
			}
			for _, c := range controllerNames {
				if strings.Contains(address, c.part) {
					disk.Controller = c.name
					break
				}
			}
			v.Disks = append(v.Disks, disk)
		case types.BaseVirtualEthernetCard:
			card := d.GetVirtualEthernetCard()
			nic := nicView{Key: card.Key, Mac: strings.ToLower(card.MacAddress), Network: l.networkName(card.Backing)}
			nic.Type = strings.TrimPrefix(strings.ToLower(reflect.TypeOf(device).Elem().Name()), "virtual")
			if card.Connectable != nil {
				nic.StartConnected, nic.Connected = card.Connectable.StartConnected, card.Connectable.Connected
			}
			v.Nics = append(v.Nics, nic)
		}
	}
	for _, option := range vm.Config.ExtraConfig {
		if o := option.GetOptionValue(); o != nil {
			if s, ok := o.Value.(string); ok {
				v.ExtraConfig[o.Key] = s
			}
		}
	}
	return v
}

// observer notes changes of machines, and removes the disks of one that is deleted.
type observer struct {
	mo.HostPatchManager
	lab *lab
}

func (o *observer) changed(ref types.ManagedObjectReference) {
	if ref.Type == "VirtualMachine" {
		o.lab.mu.Lock()
		o.lab.version++
		close(o.lab.news)
		o.lab.news = make(chan struct{})
		o.lab.mu.Unlock()
	}
}

func (o *observer) PutObject(_ *simulator.Context, ref mo.Reference) { o.changed(ref.Reference()) }
func (o *observer) UpdateObject(_ *simulator.Context, ref mo.Reference, changes []types.PropertyChange) {
	for _, change := range changes {
		if change.Name == "runtime.powerState" && change.Val == types.VirtualMachinePowerStatePoweredOff {
			if vm, ok := o.lab.registry.Get(ref.Reference()).(*simulator.VirtualMachine); ok {
				go o.lab.guestGone(vm)
			}
		}
	}
	o.changed(ref.Reference())
}
func (o *observer) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	if ref.Type == "VirtualMachine" {
		_ = os.RemoveAll(filepath.Join(o.lab.disks, ref.Value))
	}
	o.changed(ref)
}

// guestGone forgets what the guest of a machine said: it is switched off.
func (l *lab) guestGone(vm *simulator.VirtualMachine) {
	c := l.context(nil)
	c.WithLock(vm, func() {
		if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
			return
		}
		c.Update(vm, []types.PropertyChange{
			{Name: "guest.toolsStatus", Val: types.VirtualMachineToolsStatusToolsNotRunning},
			{Name: "guest.toolsRunningStatus", Val: string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)},
			{Name: "summary.guest.toolsRunningStatus", Val: string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)},
			{Name: "guest.ipAddress", Val: ""}, {Name: "summary.guest.ipAddress", Val: ""},
			{Name: "guestHeartbeatStatus", Val: types.ManagedEntityStatusGray},
		})
	})
}

func (l *lab) machines() []vmView {
	all := []vmView{}
	for _, entity := range l.registry.All("VirtualMachine") {
		if vm, ok := entity.(*simulator.VirtualMachine); ok {
			c := l.context(nil)
			c.WithLock(vm, func() {
				if vm.Config != nil && vm.Runtime.Host != nil {
					all = append(all, l.view(vm))
				}
			})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Moref < all[j].Moref })
	return all
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (l *lab) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /control/health", func(w http.ResponseWriter, _ *http.Request) { reply(w, map[string]bool{"ok": true}) })

	// GET /control/vms?since=<version>&timeout=<seconds>: waits for news when since is the present version.
	mux.HandleFunc("GET /control/vms", func(w http.ResponseWriter, r *http.Request) {
		since, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
		timeout, _ := strconv.ParseFloat(r.URL.Query().Get("timeout"), 64)
		end := time.After(time.Duration(min(timeout, 60) * float64(time.Second)))
		for {
			l.mu.Lock()
			version, news := l.version, l.news
			l.mu.Unlock()
			if err == nil && since == version {
				select {
				case <-news:
					continue
				case <-r.Context().Done():
					return
				case <-end:
				}
			}
			reply(w, map[string]any{"version": version, "vms": l.machines()})
			return
		}
	})

	machine := func(w http.ResponseWriter, r *http.Request) *simulator.VirtualMachine {
		ref := types.ManagedObjectReference{Type: "VirtualMachine", Value: r.PathValue("moref")}
		vm, ok := l.registry.Get(ref).(*simulator.VirtualMachine)
		if !ok {
			http.Error(w, "no such machine", http.StatusNotFound)
			return nil
		}
		return vm
	}

	// POST /control/vms/<moref>/disks: make the files of disks that were never uploaded.
	mux.HandleFunc("POST /control/vms/{moref}/disks", func(w http.ResponseWriter, r *http.Request) {
		if vm := machine(w, r); vm != nil {
			v := l.view(vm)
			for _, disk := range v.Disks {
				if _, err := l.ensureDisk(vm.Self, disk.Key, disk.Capacity); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
			}
			reply(w, v)
		}
	})

	// POST /control/vms/<moref>/guest {"hostname", "ip", "tools_running", "nics": [{"mac", "ips"}]}
	mux.HandleFunc("POST /control/vms/{moref}/guest", func(w http.ResponseWriter, r *http.Request) {
		vm := machine(w, r)
		if vm == nil {
			return
		}
		var said struct {
			Hostname     string `json:"hostname"`
			IP           string `json:"ip"`
			ToolsRunning bool   `json:"tools_running"`
			Nics         []struct {
				Mac string   `json:"mac"`
				IPs []string `json:"ips"`
			} `json:"nics"`
		}
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c := l.context(nil)
		c.WithLock(vm, func() {
			status, running, heart := types.VirtualMachineToolsStatusToolsNotRunning, "guestToolsNotRunning", types.ManagedEntityStatusGray
			if said.ToolsRunning {
				status, running, heart = types.VirtualMachineToolsStatusToolsOk, "guestToolsRunning", types.ManagedEntityStatusGreen
			}
			nets := append([]types.GuestNicInfo{}, vm.Guest.Net...)
			for _, nic := range said.Nics {
				for i := range nets {
					if strings.EqualFold(nets[i].MacAddress, nic.Mac) {
						nets[i].IpAddress, nets[i].Connected = nic.IPs, true
					}
				}
			}
			c.Update(vm, []types.PropertyChange{
				{Name: "guest.toolsStatus", Val: status}, {Name: "guest.toolsRunningStatus", Val: running},
				{Name: "guest.hostName", Val: said.Hostname}, {Name: "guest.ipAddress", Val: said.IP},
				{Name: "guest.net", Val: nets}, {Name: "summary.guest.toolsStatus", Val: status},
				{Name: "summary.guest.toolsRunningStatus", Val: running},
				{Name: "summary.guest.hostName", Val: said.Hostname}, {Name: "summary.guest.ipAddress", Val: said.IP},
				{Name: "guestHeartbeatStatus", Val: heart},
			})
		})
		reply(w, map[string]bool{"ok": true})
	})

	// POST /control/vms/<moref>/power {"state": "poweredOff"}: the guest did it by itself.
	mux.HandleFunc("POST /control/vms/{moref}/power", func(w http.ResponseWriter, r *http.Request) {
		vm := machine(w, r)
		if vm == nil {
			return
		}
		var said struct {
			State types.VirtualMachinePowerState `json:"state"`
		}
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil || (said.State != "poweredOff" && said.State != "poweredOn") {
			http.Error(w, "state must be poweredOn or poweredOff", http.StatusBadRequest)
			return
		}
		c := l.context(nil)
		var ref types.ManagedObjectReference
		if said.State == types.VirtualMachinePowerStatePoweredOff {
			ref = vm.PowerOffVMTask(c, &types.PowerOffVM_Task{This: vm.Self}).(*methods.PowerOffVM_TaskBody).Res.Returnval
		} else {
			ref = vm.PowerOnVMTask(c, &types.PowerOnVM_Task{This: vm.Self}).(*methods.PowerOnVM_TaskBody).Res.Returnval
		}
		l.registry.Get(ref).(*simulator.Task).Wait()
		reply(w, map[string]bool{"ok": true})
	})

	mux.HandleFunc("GET /control/faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, l.faults.get()) })
	mux.HandleFunc("PUT /control/faults", func(w http.ResponseWriter, r *http.Request) {
		if err := l.faults.replace(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply(w, l.faults.get())
	})

	mux.HandleFunc("GET /control/leases", func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		all := []map[string]any{}
		for id, one := range l.leases {
			all = append(all, map[string]any{"id": id, "moref": one.Self.Value, "vm": one.vm.Value, "export": one.export, "ready": one.ready})
		}
		reply(w, all)
	})

	sessions := func() []types.UserSession {
		all := []types.UserSession{}
		manager := l.registry.SessionManager().Self
		if m, ok := l.service.Context.Session.Get(manager).(*simulator.SessionManager); ok {
			all = append(all, m.SessionList...)
		}
		return all
	}
	mux.HandleFunc("GET /control/sessions", func(w http.ResponseWriter, _ *http.Request) { reply(w, sessions()) })
	// POST /control/sessions/terminate: end every session, as an idle timeout or an administrator does.
	mux.HandleFunc("POST /control/sessions/terminate", func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		for _, s := range sessions() {
			body := l.registry.SessionManager().TerminateSession(l.context(l.service.Context.Session),
				&types.TerminateSession{SessionId: []string{s.Key}})
			if body.Fault() == nil {
				n++
			}
		}
		reply(w, map[string]int{"terminated": n})
	})

	// PUT /control/datastores/<name> {"capacity", "free"} in bytes
	mux.HandleFunc("PUT /control/datastores/{name}", func(w http.ResponseWriter, r *http.Request) {
		var said struct{ Capacity, Free int64 }
		if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if !l.setDatastore(r.PathValue("name"), said.Capacity, said.Free) {
			http.Error(w, "no such datastore", http.StatusNotFound)
			return
		}
		reply(w, map[string]bool{"ok": true})
	})
	return mux
}

func (l *lab) setDatastore(name string, capacity, free int64) bool {
	for _, entity := range l.registry.All("Datastore") {
		ds, ok := entity.(*simulator.Datastore)
		if !ok || ds.Name != name {
			continue
		}
		c := l.context(nil)
		c.WithLock(ds, func() {
			info := ds.Info.GetDatastoreInfo()
			info.FreeSpace = free
			c.Update(ds, []types.PropertyChange{
				{Name: "summary.capacity", Val: capacity}, {Name: "summary.freeSpace", Val: free},
			})
		})
		return true
	}
	log.Printf("no datastore %q", name)
	return false
}
