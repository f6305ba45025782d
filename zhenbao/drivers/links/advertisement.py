"""bumble's advertisements in bleak's form."""

from typing import Any

from bleak.backends.scanner import AdvertisementData
from bleak.uuids import normalize_uuid_str
from bumble.core import AdvertisingData

_UUID_LISTS = (
    AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)


def full_uuid(uuid: Any) -> str:
    """A bumble UUID as bleak writes it: 128 bits, lower case."""
    return normalize_uuid_str(uuid.to_hex_str("-"))


def advertisement_data(advertisement: Any, *, earlier: AdvertisementData | None) -> AdvertisementData:
    """What a device advertises, together with what the same device said before."""
    data = advertisement.data
    uuids = list(earlier.service_uuids) if earlier else []
    for kind in _UUID_LISTS:
        for listed in data.get_all(kind):
            uuids += [uuid for uuid in map(full_uuid, listed) if uuid not in uuids]
    name = data.get(AdvertisingData.COMPLETE_LOCAL_NAME) or data.get(AdvertisingData.SHORTENED_LOCAL_NAME)
    return AdvertisementData(
        local_name=name or (earlier.local_name if earlier else None),
        manufacturer_data={
            company: bytes(value) for company, value in data.get_all(AdvertisingData.MANUFACTURER_SPECIFIC_DATA)
        },
        service_data={
            full_uuid(uuid): bytes(value) for uuid, value in data.get_all(AdvertisingData.SERVICE_DATA_16_BIT_UUID)
        },
        service_uuids=uuids,
        tx_power=data.get(AdvertisingData.TX_POWER_LEVEL),
        rssi=advertisement.rssi,
        platform_data=(advertisement,),
    )
