use subtle_domain::ports::StoreError;
use subtle_domain::service_key::ServiceKey;

use crate::Ports;
use crate::admin::Privileged;

/// Shows all service keys, newest first, the revoked ones too.
pub async fn list_service_keys(ports: &Ports, _by: &Privileged) -> Result<Vec<ServiceKey>, StoreError> {
    ports.service_keys.all().await
}
